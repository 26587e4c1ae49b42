"""In which order the steps of a workflow become jobs, and which wait for each other though no value passes."""

from collections.abc import Mapping, Sequence
from functools import cache
from graphlib import TopologicalSorter

from msgspec import Struct

from cwlbalsam.cwl.records import Program, Source, ToolProcess, WorkflowProcess


class StepOrder(Struct, frozen=True):
    """steps: indices, each after those whose outputs it reads, otherwise as written.

    readers: for a step that updates its inputs in place, the steps that must have read the same sources before.
    """

    steps: Sequence[int]
    readers: Mapping[int, Sequence[int]]


def step_order(program: Program, workflow: WorkflowProcess) -> StepOrder:
    """The order of a workflow without cycles."""
    names = {step.name: index for index, step in enumerate(workflow.steps)}
    sources = [{source for link in step.inputs for source in link.sources} for step in workflow.steps]
    graph = {index: {names[source.step] for source in found if source.step} for index, found in enumerate(sources)}
    readers = _readers_before_writers(program, workflow, sources, graph)
    return StepOrder(
        list(TopologicalSorter({step: sorted(before) for step, before in graph.items()}).static_order()), readers
    )


def _readers_before_writers(
    program: Program, workflow: WorkflowProcess, sources: Sequence[set[Source]], graph: dict[int, set[int]]
) -> dict[int, list[int]]:
    """Adds to the graph that steps which update files in place come after other readers of the same sources.

    What a step really writes is known only when it runs, so all its sources count. A reader that needs the writer's
    own outputs cannot come before it. Of two writers the one written first comes first.
    """

    @cache
    def writes(process: int) -> bool:
        found = program.processes[process]
        if isinstance(found, WorkflowProcess):
            return any(writes(step.run) for step in found.steps)
        return isinstance(found, ToolProcess) and found.requirements.inplace_update and bool(found.requirements.workdir)

    readers: dict[int, list[int]] = {}
    writers = [index for index, step in enumerate(workflow.steps) if writes(step.run)]
    for writer in writers:
        others = [index for index, found in enumerate(sources) if index != writer and found & sources[writer]]
        for reader in others:
            turn = reader < writer or reader not in writers
            if turn and writer not in _ancestors(graph, reader):
                graph[writer].add(reader)
                readers.setdefault(writer, []).append(reader)
    return readers


def _ancestors(graph: Mapping[int, set[int]], step: int) -> set[int]:
    found = {step}
    todo = [step]
    while todo:
        new = graph[todo.pop()] - found
        found |= new
        todo.extend(new)
    return found
