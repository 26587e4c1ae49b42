"""A part of a workflow as a Program of its own: for --target, --single-step and --single-process."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from cwlbalsam.cwl.records import Field, Link, Primitive, Program, Source, Step, Type, UnionType, WorkflowProcess
from cwlbalsam.errors import UserError, did_you_mean
from cwlbalsam.service.options import RunOptions

ANYTHING: Type = UnionType(options=(Primitive(name="null"), Primitive(name="Any")))


def narrow(program: Program, options: RunOptions) -> Program:
    """The part of a Program that options ask for, with a digest of its own; all of it if they ask for no part."""
    chosen = [bool(options.targets), bool(options.single_step), bool(options.single_process)]
    if sum(chosen) > 1:
        raise UserError("--target, --single-step and --single-process exclude each other")
    if not any(chosen):
        return program
    if options.single_process:
        _, step = find_step(program, options.single_process)
        part = replace(program, main=step.run)
    else:
        workflow = _main(program)
        if options.single_step:
            workflow, step = find_step(program, options.single_step)
            workflow = _around(workflow, step)
        else:
            workflow = select(workflow, options.targets)
        part = replace(program, main=len(program.processes), processes=(*program.processes, workflow))
    import hashlib

    return replace(part, digest=hashlib.sha256(msgspec.msgpack.encode(replace(part, uri=""))).hexdigest())


def _main(program: Program) -> WorkflowProcess:
    process = program.processes[program.main]
    if not isinstance(process, WorkflowProcess):
        raise UserError("only a workflow has steps and targets", place=process.place)
    return process


def find_step(program: Program, path: str) -> tuple[WorkflowProcess, Step]:
    """A step by its name, `outer/inner` in a subworkflow, and the workflow it belongs to. Raises UserError."""
    workflow = _main(program)
    *outer, last = path.split("/")
    for name in outer:
        process = program.processes[_step(workflow, name).run]
        if not isinstance(process, WorkflowProcess):
            raise UserError(f"step '{name}' does not run a workflow, so there is no '{path}'", place=process.place)
        workflow = process
    return workflow, _step(workflow, last)


def _step(workflow: WorkflowProcess, name: str) -> Step:
    for step in workflow.steps:
        if step.name == name:
            return step
    raise _unknown("step", name, [step.name for step in workflow.steps], workflow.place)


def _unknown(what: str, name: str, known: Sequence[str], place: str) -> UserError:
    hint = did_you_mean(name, known, f"there are: {', '.join(known)}")
    return UserError(f"the workflow has no {what} '{name}'", place=place, hint=hint)


def _around(workflow: WorkflowProcess, step: Step) -> WorkflowProcess:
    """A workflow of one step, whose inputs and outputs are the step's."""
    links = tuple(
        replace(link, sources=(Source(port=link.name),), link_merge=None, pick_value=None) for link in step.inputs
    )
    return replace(
        workflow,
        id=step.name,
        inputs=tuple(Field(name=link.name, type=ANYTHING, place=link.place) for link in step.inputs),
        outputs=tuple(Field(name=port, type=ANYTHING, place=step.place) for port in step.outputs),
        links=tuple(Link(name=port, sources=(Source(step=step.name, port=port),)) for port in step.outputs),
        steps=(replace(step, inputs=links),),
        digest="",
    )


def select(workflow: WorkflowProcess, targets: Iterable[str]) -> WorkflowProcess:
    """What is needed for targets: outputs, steps, or inputs (then all that depends on them, too).

    A step that is a target gives its outputs as outputs of the workflow, named `step/port`. Inputs that nothing needs
    are left out.
    """
    steps = {step.name: step for step in workflow.steps}
    links = {link.name: link for link in workflow.links}
    inputs = [field.name for field in workflow.inputs]
    kept: set[str] = set()
    below: set[str] = set()
    shown: list[Step] = []
    for target in targets:
        if target in links:
            kept.add(target)
        elif target in steps:
            shown.append(steps[target])
        elif target in inputs:
            below |= _below(workflow, target)
        else:
            raise _unknown("target", target, [*links, *steps, *inputs], workflow.place)
    leaves = below | {step.name for step in shown}
    kept |= {link.name for link in workflow.links if _comes_from(link, leaves)}
    needed = {source.step for name in kept for source in links[name].sources} - {""}
    extra = [(step.name, port) for step in shown for port in step.outputs]
    return _cut(workflow, _above(steps, leaves | needed), kept, extra)


def _comes_from(link: Link, steps: set[str]) -> bool:
    return bool(link.sources) and all(source.step in steps for source in link.sources)


def _cut(
    workflow: WorkflowProcess, steps: set[str], outputs: set[str], extra: Sequence[tuple[str, str]]
) -> WorkflowProcess:
    """The workflow with these steps and outputs only; extra: (step, port) to show as outputs, too."""
    remaining = tuple(step for step in workflow.steps if step.name in steps)
    links = [link for link in workflow.links if link.name in outputs]
    links += [Link(name=f"{step}/{port}", sources=(Source(step=step, port=port),)) for step, port in extra]
    read = [*links, *(link for step in remaining for link in step.inputs)]
    used = {source.port for link in read for source in link.sources if not source.step}
    fields = [field for field in workflow.outputs if field.name in outputs]
    fields += [Field(name=f"{step}/{port}", type=ANYTHING) for step, port in extra]
    return replace(
        workflow,
        inputs=tuple(field for field in workflow.inputs if field.name in used),
        outputs=tuple(fields),
        links=tuple(links),
        steps=remaining,
        digest="",
    )


def _above(steps: dict[str, Step], names: set[str]) -> set[str]:
    """The named steps and all that they need."""
    found, waiting = set(names), list(names)
    while waiting:
        above = {source.step for link in steps[waiting.pop()].inputs for source in link.sources} - found - {""}
        found |= above
        waiting += above
    return found


def _below(workflow: WorkflowProcess, port: str) -> set[str]:
    """The steps that depend on an input of the workflow."""
    found: set[str] = set()
    waiting: list[tuple[str, str | None]] = [("", port)]
    while waiting:
        origin, wanted = waiting.pop()
        for step in workflow.steps:
            sources = [source for link in step.inputs for source in link.sources if source.step == origin]
            if step.name not in found and any(wanted is None or source.port == wanted for source in sources):
                found.add(step.name)
                waiting.append((step.name, None))
    return found
