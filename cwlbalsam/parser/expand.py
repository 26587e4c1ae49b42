"""Expansion: a Program and its inputs become jobs, without I/O.

Subworkflows are inlined: a `bind` node applies their defaults and checks, a `gather` node holds their outputs. A
scatter, a loop and a subworkflow under `when` are expansion points: what is behind them becomes jobs when their parents
have finished, and their `exit`, the gather node that everything downstream refers to, then learns what it gathers.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Link, Program, Step, WorkflowProcess
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.commands import COMMAND
from cwlbalsam.jobs.model import JobKind
from cwlbalsam.jobs.references import NULL, Const, Default, Item, ListOf, Merge, Pick, Port, Tree, parents
from cwlbalsam.parser.order import StepOrder, step_order

StepRef = tuple[int, int]


class Planned(Struct, kw_only=True, gc=False):
    """A job to be made. after: parents that it reads nothing of.

    exit: the gather of an expansion point, else -1. iteration, previous: of a loop's node, its number and the node of
    the iteration before (-1). calls: of a loop's node, the jobs that ran the iterations before, in a list that
    all nodes of the loop share.
    """

    id: int
    name: str
    kind: JobKind
    process: int
    step: StepRef | None = None
    inputs: dict[str, Tree] = {}
    after: tuple[int, ...] = ()
    exit: int = -1
    iteration: int = 0
    previous: int = -1
    calls: list[int] = []
    top: bool = False

    def parents(self) -> set[int]:
        """All jobs that must have finished before this one."""
        return set(self.after).union(*map(parents, self.inputs.values()))


@dataclass
class Expansion:
    """One change of a DAG.

    gathers: what existing gather nodes now read. waits: jobs that existing nodes now wait for.
    """

    jobs: list[Planned] = field(default_factory=list)
    gathers: dict[int, dict[str, Tree]] = field(default_factory=dict)
    waits: dict[int, list[int]] = field(default_factory=dict)


class Expander:
    """Makes the jobs of one run.

    known: ids that (name, kind) had when the run was first under way; everything else gets a new one. Names are made
    of step paths and indices alone, so they are the same however the run went.
    """

    def __init__(self, program: Program, known: Mapping[tuple[str, JobKind], int] | None = None) -> None:
        self.program = program
        self._known = known or {}
        self.next_id = max(self._known.values(), default=-1) + 1
        self._orders: dict[int, StepOrder] = {}
        self._defaults: dict[int, Raw] = {}

    def start(self, inputs: Mapping[str, Raw]) -> tuple[Expansion, int]:
        """The run's first jobs, and the job whose outputs are the run's."""
        expansion = Expansion()
        trees: dict[str, Tree] = {name: Const(value) for name, value in inputs.items()}
        main = self.program.processes[self.program.main]
        name = "" if isinstance(main, WorkflowProcess) else main.id  # a tool's own job must be called something
        root = self._call(expansion, name, self.program.main, None, trees)
        expansion.jobs[0].top = True
        return expansion, root

    def bound(self, point: Planned) -> Expansion:
        """The body of a subworkflow whose `when` has turned out true."""
        expansion = Expansion()
        expansion.gathers[point.exit], calls = self._body(expansion, point)
        expansion.waits[point.exit] = calls
        return expansion

    def scattered(self, point: Planned, lengths: Mapping[str, int]) -> Expansion:
        """One call for each combination. lengths: of the scattered arrays. Raises JobError if they do not match."""
        expansion = Expansion()
        step = self.step(point)
        outputs: dict[str, Tree]
        if step.scatter_method == "dotproduct":
            if len(set(lengths.values())) > 1:
                found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
                raise JobError(f"dotproduct needs arrays of one length, not {found}", place=step.place)
            paths = [(index,) * len(step.scatter) for index in range(next(iter(lengths.values())))]
        else:
            paths = list(itertools.product(*(range(lengths[name]) for name in step.scatter)))
        ports = {link.name: Port(point.id, link.name) for link in step.inputs}
        calls = [self._scatter_call(expansion, point, step, ports, path) for path in paths]
        if step.scatter_method == "nested_crossproduct":
            shape = [lengths[name] for name in step.scatter]
            outputs = {name: _nest(iter(calls), name, shape) for name in step.outputs}
        else:
            outputs = {name: ListOf(tuple(Port(call, name) for call in calls)) for name in step.outputs}
        expansion.gathers[point.exit] = outputs
        expansion.waits[point.exit] = calls
        return expansion

    def repeated(self, point: Planned) -> Expansion:
        """The iteration that a loop's node has found to be wanted, and the node that will decide on the next."""
        expansion = Expansion()
        step = self.step(point)
        assert step.loop is not None
        declared = {entry.name for entry in self.program.processes[step.run].inputs}
        inputs: dict[str, Tree] = {
            link.name: Port(point.id, link.name) for link in step.inputs if link.name in declared
        }
        name = f"{point.name.rpartition('[')[0]}[{point.iteration}]"
        call = self._call(expansion, name, step.run, None, inputs, after=(point.id,))
        point.calls.append(call)
        following = self._add(
            expansion,
            name=f"{name[: name.rindex('[')]}[{point.iteration + 1}]",
            kind="loop",
            process=point.process,
            step=point.step,
            inputs={link.name: self._tree(link, lambda _, port: Port(call, port)) for link in step.loop.links},
            after=(call,),
            exit=point.exit,
            iteration=point.iteration + 1,
            previous=point.id,
            calls=point.calls,
        )
        expansion.waits[point.exit] = [following.id]
        return expansion

    def ended(self, point: Planned) -> Expansion:
        """What a loop gives when its node has found that no other iteration is wanted."""
        step = self.step(point)
        assert step.loop is not None
        outputs: dict[str, Tree]
        if step.loop.output_method == "all_iterations":
            outputs = {name: ListOf(tuple(Port(call, name) for call in point.calls)) for name in step.outputs}
        elif point.calls:
            outputs = {name: Port(point.calls[-1], name) for name in step.outputs}
        else:
            outputs = {name: Const(NULL) for name in step.outputs}
        return Expansion(gathers={point.exit: outputs})

    def added(self, name: str, inputs: dict[str, Tree], after: tuple[int, ...], number: int) -> Planned:
        """A job that is no part of the Program, under an id that none has yet."""
        self.next_id = max(self.next_id, number + 1)
        return Planned(id=number, name=name, kind="job", process=COMMAND, inputs=inputs, after=after)

    def step(self, point: Planned) -> Step:
        """The step that called for a job."""
        assert point.step is not None
        workflow = self.program.processes[point.step[0]]
        assert isinstance(workflow, WorkflowProcess)
        return workflow.steps[point.step[1]]

    # --- parts of an expansion ---

    def _add(self, expansion: Expansion, **fields: object) -> Planned:
        job = Planned(id=self.next_id, **fields)  # type: ignore[arg-type]
        known = self._known.get((job.name, job.kind)) if self._known else None
        if known is None:
            self.next_id += 1
        else:
            job.id = known
        expansion.jobs.append(job)
        return job

    def _call(
        self,
        expansion: Expansion,
        name: str,
        process: int,
        step: StepRef | None,
        inputs: dict[str, Tree],
        after: tuple[int, ...] = (),
    ) -> int:
        """One invocation of a process; returns the job whose outputs are its outputs."""
        if not isinstance(self.program.processes[process], WorkflowProcess):
            fields = {"name": name, "process": process, "step": step, "inputs": inputs, "after": after}
            return self._add(expansion, kind="job", **fields).id
        bind = self._add(expansion, name=name, kind="bind", process=process, step=step, inputs=inputs, after=after)
        gather = self._add(expansion, name=name, kind="gather", process=process, after=(bind.id,))
        conditional = step is not None and self.step(bind).when is not None
        if conditional:
            bind.exit = gather.id
        else:
            gather.inputs, calls = self._body(expansion, bind)
            gather.after = (bind.id, *calls)
        return gather.id

    def _body(self, expansion: Expansion, bind: Planned) -> tuple[dict[str, Tree], list[int]]:
        """The steps of a workflow; returns what its outputs read, and the jobs that end its steps."""
        workflow = self.program.processes[bind.process]
        assert isinstance(workflow, WorkflowProcess)
        calls: dict[str, int] = {}

        def source(step: str, port: str) -> Tree:
            return Port(calls[step] if step else bind.id, port)

        order = self._order(bind.process, workflow)
        for index in order.steps:
            step = workflow.steps[index]
            name = f"{bind.name}/{step.name}" if bind.name else step.name
            inputs = {link.name: self._tree(link, source) for link in step.inputs}
            after = (bind.id, *(calls[workflow.steps[reader].name] for reader in order.readers.get(index, ())))
            calls[step.name] = self._step(expansion, name, step, (bind.process, index), inputs, after)
        return {link.name: self._tree(link, source) for link in workflow.links}, list(calls.values())

    def _step(
        self,
        expansion: Expansion,
        name: str,
        step: Step,
        ref: StepRef,
        inputs: dict[str, Tree],
        after: tuple[int, ...],
    ) -> int:
        if not step.scatter and step.loop is None:
            return self._call(expansion, name, step.run, ref, inputs, after=after)
        point = self._add(
            expansion,
            name=name if step.scatter else f"{name}[0]",
            kind="scatter" if step.scatter else "loop",
            process=step.run,
            step=ref,
            inputs=inputs,
            after=after,
        )
        gather = self._add(expansion, name=name, kind="gather", process=step.run, step=ref, after=(point.id,))
        point.exit = gather.id
        return gather.id

    def _scatter_call(
        self, expansion: Expansion, point: Planned, step: Step, ports: Mapping[str, Port], path: tuple[int, ...]
    ) -> int:
        inputs: dict[str, Tree] = dict(ports)  # one object for all calls: there may be 100,000
        for name, index in zip(step.scatter, path, strict=True):
            inputs[name] = Item(ports[name], (index,))
        shown = path[:1] if step.scatter_method == "dotproduct" else path
        name = f"{point.name}[{','.join(map(str, shown))}]"
        return self._call(expansion, name, step.run, point.step, inputs)

    def _tree(self, link: Link, source: Callable[[str, str], Tree]) -> Tree:
        trees = tuple(source(entry.step, entry.port) for entry in link.sources)
        tree: Tree
        if not trees:
            tree = Const(NULL)
        elif link.link_merge is None:
            tree = trees[0]
        else:
            tree = Merge("nested" if link.link_merge == "merge_nested" else "flattened", trees)
        if link.pick_value is not None:
            tree = Pick(link.pick_value, tree, link.name)
        if link.default is not None:
            tree = Default(tree, self._default(link))
        return tree

    def _default(self, link: Link) -> Raw:
        packed = self._defaults.get(id(link))
        if packed is None:
            packed = self._defaults[id(link)] = Raw(msgspec.msgpack.encode(link.default))
        return packed

    def _order(self, process: int, workflow: WorkflowProcess) -> StepOrder:
        if process not in self._orders:
            self._orders[process] = step_order(self.program, workflow)
        return self._orders[process]


def _nest(calls: Iterator[int], name: str, shape: Sequence[int]) -> Tree:
    if not shape:
        return Port(next(calls), name)
    return ListOf(tuple(_nest(calls, name, shape[1:]) for _ in range(shape[0])))
