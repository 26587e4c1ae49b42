"""What a task wants of the files that its inputs name: their contents, or only what the values say of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import (
    ArrayType,
    ExpressionProcess,
    Field,
    LiteralEntry,
    Process,
    Program,
    RecordType,
    Step,
    ToolProcess,
    Type,
    UnionType,
    WorkflowProcess,
)
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.cwl.values import files_and_directories
from cwlbalsam.jobs.references import NULL

FILE_MARK = b"\xa5class"
"""In the msgpack of each File and Directory; what has it not is never decoded."""


def step_of_task(program: Program, task: Task) -> Step | None:
    if task.step is None:
        return None
    workflow = program.processes[task.step[0]]
    assert isinstance(workflow, WorkflowProcess)
    return workflow.steps[task.step[1]]


def has_command(program: Program, task: Task) -> bool:
    if task.program == COMMANDS.digest:
        return True
    return task.mode == "run" and isinstance(program.processes[task.process], ToolProcess)


def reads_files(program: Program, task: Task, values: Mapping[str, Any]) -> bool:
    """Whether a task without a command opens, lists or looks at the files of its inputs.

    The first task of a run sees to the user's files on this machine; of those at sites it takes what the user says.
    """
    process = program.processes[task.process]
    if isinstance(process, ExpressionProcess) and task.mode == "run":
        return True
    step = step_of_task(program, task)
    if step is not None and any(link.load_contents or link.load_listing for link in _links(step)):
        return True
    if task.mode == "prologue":
        return False
    if any(map(_loads, process.inputs)):
        return True
    return not task.top and any(
        _looks_at(process, found) for value in values.values() for found in files_and_directories(value)
    )


def _looks_at(process: Process, found: Mapping[str, Any]) -> bool:
    if found["class"] == "Directory":
        return process.requirements.load_listing != "no_listing" and "listing" not in found
    return "size" not in found and "location" in found


def _links(step: Step) -> Iterable[Any]:
    return (*step.inputs, *(step.loop.links if step.loop is not None else ()))


@once_for_each
def _loads(field: Field) -> bool:
    return field.load_contents or bool(field.load_listing) or _type_loads(field.type)


def _type_loads(kind: Type) -> bool:
    if isinstance(kind, UnionType):
        return any(map(_type_loads, kind.options))
    if isinstance(kind, ArrayType):
        return _type_loads(kind.items)
    return isinstance(kind, RecordType) and any(map(_loads, kind.fields))


def is_changed_first(program: Program, task: Task, values: Mapping[str, Any]) -> bool:
    """Whether something may come of a task's inputs before its tool sees them: files are only sent after that.

    A `when` may skip it, a `valueFrom` drop or add files, a default bring its own, the user's have others beside them.
    """
    step = step_of_task(program, task)
    if task.top or has_default_files(program.processes[task.process], values):
        return True
    return step is not None and (step.when is not None or any(link.value_from is not None for link in _links(step)))


def has_default_files(process: Process, values: Mapping[str, Any]) -> bool:
    """Whether the document gives files for inputs that have no value (None, or its msgpack)."""
    return any(values.get(field.name) in (None, NULL) and _default_has_files(field) for field in process.inputs)


@once_for_each
def _default_has_files(field: Field) -> bool:
    return any(True for _ in files_and_directories(field.default)) or _record_has_files(field.type)


def _record_has_files(kind: Type) -> bool:
    if isinstance(kind, UnionType):
        return any(map(_record_has_files, kind.options))
    if isinstance(kind, ArrayType):
        return _record_has_files(kind.items)
    return isinstance(kind, RecordType) and any(map(_default_has_files, kind.fields))


def written_out(process: Process) -> Iterator[dict[str, Any]]:
    """Files and Directories that the document itself puts into a job's working directory."""
    listing = process.requirements.workdir
    for entry in listing if isinstance(listing, tuple) else ():
        if isinstance(entry, LiteralEntry):
            yield from files_and_directories(entry.value)
