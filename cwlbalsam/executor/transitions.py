"""Scripts before and after jobs, as the coordinator knows them: `script_runner` runs them."""

from typing import Literal, Protocol

from msgspec import Struct

from cwlbalsam.cwl.records import Process
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.jobs.commands import COMMAND, PORT, decode_command
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.references import Const

Phase = Literal["preprocess", "postprocess"]


class Script(Struct, frozen=True):
    """directory: of the job's attempt; the script runs there, and has its log beside it."""

    job: int
    name: str
    attempt: int
    phase: Phase
    argv: tuple[str, ...]
    directory: str


class Scripted(Struct, frozen=True):
    """How a script ended. change: what it has done to the DAG; counts only if it ended well."""

    script: Script
    error: str = ""
    change: DagChange = DagChange()
    cancelled: bool = False


class Transitions(Protocol):
    """Runs scripts; each is answered once, by `Coordinator.scripted`."""

    def submit(self, script: Script) -> None: ...
    def cancel(self) -> None: ...


def script_of(process: Process | None, job: LiveJob, phase: Phase) -> tuple[str, ...]:
    """The command of a job's pre- or post-process script; () for none."""
    if job.plan.kind != "job":
        return ()
    if job.plan.process == COMMAND:
        tree = job.plan.inputs.get(PORT)
        command = decode_command(tree.value) if isinstance(tree, Const) else None
        return getattr(command, phase) if command is not None else ()
    scripts = process.requirements.scripts if process is not None else None
    return getattr(scripts, phase) if scripts is not None else ()
