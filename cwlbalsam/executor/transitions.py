"""Scripts before and after jobs, as the coordinator knows them: `script_runner` runs them."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from cwlbalsam.cwl.command_jobs import process_of
from cwlbalsam.cwl.records import Process, Program
from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.jobs.commands import COMMAND, PORT, decode_command
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.names import job_directory
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


class Scripts:
    """The scripts of a run. runner: None as long as there is none; no job has a script then. commit: writes what has
    changed: a script may ask how its job stands."""

    def __init__(self, program: Program, folder: Path, commit: Callable[[], None]) -> None:
        self.runner: Transitions | None = None
        self._program = program
        self._folder = str(folder)
        self._commit = commit
        self._running: dict[int, Outcome | None] = {}  # by job; after the job: what that ended with

    @property
    def are_running(self) -> bool:
        return bool(self._running)

    def runs(self, job: int) -> bool:
        return job in self._running

    def has(self, job: LiveJob, phase: Phase) -> bool:
        return self.runner is not None and bool(script_of(process_of(self._program, job.plan.process), job, phase))

    def begin(self, job: LiveJob, phase: Phase, outcome: Outcome | None = None) -> None:
        """Have a job's script run. outcome: of the job, for the script after it."""
        assert self.runner is not None
        plan = job.plan
        argv = script_of(process_of(self._program, plan.process), job, phase)
        self._running[plan.id] = outcome
        self._commit()
        directory = job_directory(self._folder, plan.id, job.attempt)
        self.runner.submit(Script(plan.id, plan.name, job.attempt, phase, argv, directory))

    def end(self, script: Script) -> Outcome | None:
        """What the job had ended with, if the script came after it."""
        return self._running.pop(script.job)

    def cancel(self) -> None:
        if self.runner is not None:
            self.runner.cancel()
