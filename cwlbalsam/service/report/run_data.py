"""What a report tells of a run, gathered from the store."""

import statistics
import time
from array import array
from collections.abc import Iterable

import msgspec
from msgspec import Struct, field

from cwlbalsam.cwl.records import Program
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.runs import FAILED_STATES, Ending, RunView, ending_of, view_run
from cwlbalsam.store import Store, StoredJob

FAILURES = 50


def _floats() -> "array[float]":
    return array("d")


class StepData(Struct, kw_only=True):
    """The jobs of one step. starts, ends (seconds since the run began), cpu, memory: one entry for each that ran.

    bad: indices of those that failed.
    """

    name: str
    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    killed: int = 0
    running: int = 0
    waiting: int = 0
    starts: "array[float]" = field(default_factory=_floats)
    ends: "array[float]" = field(default_factory=_floats)
    cpu: "array[float]" = field(default_factory=_floats)
    memory: "array[float]" = field(default_factory=_floats)
    jobs: list[str] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)

    @property
    def seconds(self) -> list[float]:
        """How long each job took."""
        return [end - start for start, end in zip(self.starts, self.ends, strict=True)]

    @property
    def state(self) -> str:
        """The worst that can be said of its jobs."""
        if self.failed:
            return "failed"
        if self.running:
            return "running"
        if self.killed:
            return "killed"
        if self.waiting:
            return "waiting"
        return "done" if self.done else "skipped"


class FailedJob(Struct, kw_only=True):
    """id: what `cwlbalsam explain` takes."""

    id: int
    name: str
    ending: Ending
    message: str


class ReportData(Struct, kw_only=True):
    """span: seconds from the run's start to the end of what is drawn."""

    run: RunRecord
    view: RunView
    steps: list[StepData]
    failures: list[FailedJob]
    failures_left: int
    program: Program | None
    span: float

    @property
    def cpu_seconds(self) -> float:
        """Of all jobs."""
        return sum(sum(step.cpu) for step in self.steps)

    @property
    def peak_memory(self) -> float:
        """Of the job that needed the most."""
        return max((max(step.memory) for step in self.steps if step.memory), default=0.0)


def gather(store: Store, run: RunRecord) -> ReportData:
    """Reads every job once."""
    view = view_run(store, run)
    now = run.ended or time.time()
    steps: dict[str, StepData] = {}
    failures: list[FailedJob] = []
    left = 0
    for job in store.jobs(run.id):
        ending = ending_of(job)
        if job.kind == "job":
            _count(steps, job, ending, run, now)
        if job.state in FAILED_STATES:
            if len(failures) < FAILURES:
                failures.append(FailedJob(id=job.id, name=job.name, ending=ending, message=job.message))
            else:
                left += 1
    found = sorted(steps.values(), key=lambda step: min(step.starts, default=now))
    span = max([view.seconds, *(max(step.ends) for step in found if step.ends), 0.001])
    return ReportData(
        run=run,
        view=view,
        steps=found,
        failures=failures,
        failures_left=left,
        program=_program(store, run),
        span=span,
    )


def _program(store: Store, run: RunRecord) -> Program | None:
    try:
        return msgspec.msgpack.decode(store.get_program(run.program), type=Program)
    except (LookupError, msgspec.DecodeError):
        return None


def _count(steps: dict[str, StepData], job: StoredJob, ending: Ending, run: RunRecord, now: float) -> None:
    name = step_of(job.name)
    step = steps.get(name)
    if step is None:
        step = steps[name] = StepData(name=name)
    step.total += 1
    if ending.ending == "skipped":
        step.skipped += 1
        return
    if job.state is State.JOB_FINISHED:
        step.done += 1
    elif job.state in FAILED_STATES:
        step.failed += 1
    elif job.state is State.RUNNING and run.status == "running":
        step.running += 1
    elif job.state in FINAL or run.status != "running":
        step.killed += 1
    else:
        step.waiting += 1
    if ending.started:
        start = max(0.0, ending.started - run.created)
        if job.state in FAILED_STATES:
            step.bad.add(len(step.starts))
        step.starts.append(start)
        step.ends.append(max(start, (ending.ended or now) - run.created))
        step.cpu.append(ending.cpu_seconds)
        step.memory.append(ending.peak_memory_bytes)
        step.jobs.append(job.name)


def median(values: Iterable[float]) -> float:
    """0.0 for nothing."""
    return statistics.median(list(values) or [0.0])
