"""The coordinator of one run: it owns every job's state, and tells workers what to do.

All it does happens in batches: the outcomes of one wake-up lead to one transaction and one submission of tasks.
Values pass through as msgpack and are never decoded here.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant, Outcome, Task, TaskMode
from cwlbalsam.errors import JobError
from cwlbalsam.executor.events import JobEnded, JobsAdded, JobStarted, Reporter
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, State
from cwlbalsam.jobs.names import job_directory, step_of
from cwlbalsam.jobs.references import NULL, Elements, array_items, is_array, pack_trees, resolve
from cwlbalsam.jobs.states import FINAL, Event, advance
from cwlbalsam.parser.expand import Expander, Expansion, Planned

MAX_ATTEMPTS = 3  # of a job whose worker is lost; a command that ends badly is not tried again
BOOKKEEPING = Grant(cores=0.0, ram=0.0, tmpdir=0.0, outdir=0.0)


class Pool(Protocol):
    """What the coordinator needs of a WorkerPool."""

    def submit(self, tasks: list[Task]) -> None: ...
    def cancel(self, jobs: list[int]) -> None: ...


class LiveJob(Struct, weakref=False):
    """A job as the coordinator knows it. outputs: once it is done; a port that is missing is null."""

    plan: Planned
    state: State = State.AWAITING_PARENTS
    waiting_for: int = 0
    children: list[int] = []
    outputs: Mapping[str, Raw] | None = None
    attempt: int = 1
    grant: Grant | None = None


class Failure(Struct, frozen=True):
    """Why a job failed."""

    job: int
    name: str
    error: str
    log: str
    bug: bool


class Coordinator:
    """Runs one Program to its end. write: keeps changes of the DAG, in the order they are made."""

    def __init__(
        self,
        program: Program,
        pool: Pool,
        folder: Path,
        *,
        write: Callable[[Changes], None],
        reporter: Reporter,
        stop_on_error: bool = True,
    ) -> None:
        self.program = program
        self.pool = pool
        self.folder = folder
        self.jobs: dict[int, LiveJob] = {}
        self.failures: list[Failure] = []
        self.done = asyncio.Event()
        self.root = -1
        self._expander = Expander(program)
        self._elements = Elements(self._lookup)
        self._write = write
        self._reporter = reporter
        self._stop_on_error = stop_on_error
        self._stopping = False
        self._changes = Changes()
        self._ready: deque[int] = deque()
        self._finished: deque[int] = deque()
        self._tasks: list[Task] = []
        self._running: set[int] = set()
        self._grants: dict[int, Grant | None] = {}

    def first_changes(self, inputs: Mapping[str, Raw]) -> Changes:
        """Expand the run; returns its first jobs, to be written with the run itself."""
        expansion, self.root = self._expander.start(inputs)
        self._admit(expansion)
        changes, self._changes = self._changes, Changes()
        return changes

    def start(self) -> None:
        """Hand out what can start."""
        self._work()

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Take what workers report. Anything about another attempt is dropped."""
        for outcome in outcomes:
            job = self.jobs.get(outcome.job)
            if job is not None and job.state is State.RUNNING and job.attempt == outcome.attempt:
                self._running.discard(outcome.job)
                self._take(job, outcome)
        self._work()

    def started(self, numbers: Iterable[int]) -> None:
        """Tell which jobs have got their share of the machine."""
        for number in numbers:
            job = self.jobs[number]
            if job.plan.kind == "job" and job.grant is not None:  # without one, only its size is asked for
                self._reporter.report(JobStarted(job.plan.name, number))

    def stop(self) -> None:
        """End what runs and start nothing more; `done` is set when all have ended."""
        self._stopping = True
        self.pool.cancel(list(self._running))
        self._work()

    def outputs(self) -> dict[str, Raw]:
        """The run's outputs, those that failed jobs should have made being null."""
        root = self.jobs[self.root]
        if root.outputs is not None:
            return dict(root.outputs)
        found = {}
        for name, tree in root.plan.inputs.items() if root.plan.kind == "gather" else ():
            try:
                found[name] = resolve(tree, self._lookup, self._elements)
            except (JobError, LookupError):
                found[name] = NULL
        return found

    # --- one wake-up ---

    def _work(self) -> None:
        while self._finished or self._ready:
            while self._finished:
                self._release(self._finished.popleft())
            while self._ready and not self._finished:
                self._prepare(self.jobs[self._ready.popleft()])
        tasks, self._tasks = self._tasks, []
        if self._changes.jobs or self._changes.moves:
            changes, self._changes = self._changes, Changes()
            self._write(changes)
        if tasks:
            self.pool.submit(tasks)
        if not self._running:
            self.done.set()

    def _release(self, number: int) -> None:
        """Count down the children of a finished job: O(children)."""
        for child in self.jobs[number].children:
            job = self.jobs[child]
            job.waiting_for -= 1
            if job.waiting_for == 0 and job.state is State.AWAITING_PARENTS:
                job.state = advance(job.state, Event.PARENTS_FINISHED)
                self._ready.append(child)

    def _prepare(self, job: LiveJob) -> None:
        """Do what a ready job is for, or have a worker do it."""
        if job.state is not State.READY and job.state is not State.RESTART_READY:
            return
        try:
            match job.plan.kind:
                case "gather":
                    self._finish(job, self._resolve(job))
                case "scatter":
                    self._scatter(job)
                case _:
                    self._dispatch(job)
        except JobError as error:
            self._fail(job, Event.GIVE_UP, str(error))

    def _dispatch(self, job: LiveJob) -> None:
        if self._stopping:
            return
        plan = job.plan
        if plan.kind == "job" and job.grant is None:
            job.grant = self._static_grant(plan.process)
        size_first = plan.kind == "job" and job.grant is None
        previous = self.jobs[plan.previous].outputs if plan.previous >= 0 else None
        self._tasks.append(
            Task(
                job=plan.id,
                attempt=job.attempt,
                mode="size" if size_first else MODES[plan.kind],
                program=self.program.digest,
                process=plan.process,
                step=plan.step,
                loop=plan.iteration > 0,
                inputs=self._resolve(job),
                previous=dict(previous or {}),
                directory=self._directory(plan.id, job.attempt),
                name=plan.name,
                grant=job.grant if job.grant is not None and plan.kind == "job" else BOOKKEEPING,
                top=plan.top,
            )
        )
        self._running.add(plan.id)
        self._move(job, Event.DISPATCHED)

    def _take(self, job: LiveJob, outcome: Outcome) -> None:
        plan = job.plan
        match outcome.ending:
            case "done" if plan.kind == "job" and job.grant is None:
                job.grant = msgspec.convert(_decoded(outcome.outputs), Grant)
                self._again(job, spent=False)
            case "done" | "skipped":
                skipped = outcome.ending == "skipped"
                self._move(job, Event.SKIPPED if skipped else Event.FINISHED, outcome)
                job.outputs = outcome.outputs
                self._finished.append(plan.id)
                self._expand(plan, skipped)
                if plan.kind == "job":
                    seconds = outcome.ended - outcome.started
                    self._reporter.report(
                        JobEnded(plan.name, plan.id, outcome.ending, log=outcome.log, seconds=seconds)
                    )
            case "temporary" if outcome.exit_code is None and job.attempt < MAX_ATTEMPTS and not self._stopping:
                self._again(job, spent=True)
            case "cancelled":
                self._fail(job, Event.KILLED_BY_USER, outcome.error, outcome)
            case _:
                self._fail(job, Event.GIVE_UP, outcome.error, outcome)

    def _again(self, job: LiveJob, *, spent: bool) -> None:
        self._move(job, Event.PREEMPTED)
        job.attempt += spent
        self._ready.append(job.plan.id)

    # --- expansion ---

    def _expand(self, plan: Planned, skipped: bool) -> None:
        if plan.kind == "bind" and plan.exit >= 0 and not skipped:
            self._admit(self._expander.bound(plan))
        elif plan.kind == "loop":
            self._admit(self._expander.ended(plan) if skipped else self._expander.repeated(plan))

    def _scatter(self, job: LiveJob) -> None:
        step = self._expander.step(job.plan)
        inputs = self._resolve(job)
        lengths = {}
        for name in step.scatter:
            if not is_array(inputs[name]):
                raise JobError(f"step '{step.name}' scatters over '{name}', whose value is no array", place=step.place)
            lengths[name] = len(array_items(inputs[name]))
        expansion = self._expander.scattered(job.plan, lengths)
        self._finish(job, inputs)
        self._admit(expansion)

    def _admit(self, expansion: Expansion) -> None:
        """Add the jobs of an expansion; those that wait for nobody are ready."""
        for plan in expansion.jobs:
            self.jobs[plan.id] = LiveJob(plan, children=[])
        for plan in expansion.jobs:
            self._wait(plan.id, plan.parents())
        for number, trees in expansion.gathers.items():
            self.jobs[number].plan.inputs = trees
        for number, found in expansion.waits.items():
            self._wait(number, found)
        for plan in expansion.jobs:
            job = self.jobs[plan.id]
            if job.waiting_for == 0:
                job.state = State.READY
                self._ready.append(plan.id)
            self._changes.jobs.append(_stored(job))
        steps = Counter(step_of(plan.name) for plan in expansion.jobs if plan.kind == "job")
        if steps:
            self._reporter.report(JobsAdded(steps.total(), steps))

    def _wait(self, number: int, found: Iterable[int]) -> None:
        job = self.jobs[number]
        for parent in found:
            before = self.jobs[parent]
            self._changes.edges.append((parent, number))
            # A finished parent counts until its release, which is still to come if it is in this wake-up's queue.
            if before.outputs is None or parent in self._finished:
                before.children.append(number)
                job.waiting_for += 1

    # --- ends ---

    def _finish(self, job: LiveJob, outputs: Mapping[str, Raw]) -> None:
        self._move(job, Event.FINISHED)
        job.outputs = outputs
        self._finished.append(job.plan.id)

    def _fail(self, job: LiveJob, event: Event, error: str, outcome: Outcome | None = None) -> None:
        plan = job.plan
        self._move(job, event, outcome, error)
        log, bug = (outcome.log, outcome.bug) if outcome else ("", False)
        if event is not Event.KILLED_BY_USER:
            self.failures.append(Failure(plan.id, plan.name, error, log, bug))
            self._stopping = self._stopping or self._stop_on_error
        ending = outcome.ending if outcome else "failed"
        self._reporter.report(JobEnded(plan.name, plan.id, ending, error, log))
        doomed = deque(job.children)
        while doomed:
            child = self.jobs[doomed.popleft()]
            if child.state not in FINAL:
                self._move(child, Event.PARENT_FAILED, message=f"'{plan.name}' failed")
                doomed.extend(child.children)
                if child.plan.kind == "job":
                    self._reporter.report(JobEnded(child.plan.name, child.plan.id, "killed"))

    def _move(self, job: LiveJob, event: Event, outcome: Outcome | None = None, message: str = "") -> None:
        job.state = advance(job.state, event)
        kept = msgspec.msgpack.encode(outcome) if outcome is not None else None
        self._changes.moves.append(
            Move(
                job=job.plan.id,
                state=job.state,
                time=time.time(),
                attempt=job.attempt,
                message=message,
                outcome=kept,
            )
        )

    # --- values ---

    def _lookup(self, number: int, port: str) -> Raw:
        outputs = self.jobs[number].outputs
        if outputs is None:
            raise LookupError(f"job {number} has no outputs")
        return outputs.get(port, NULL)

    def _resolve(self, job: LiveJob) -> dict[str, Raw]:
        return {name: resolve(tree, self._lookup, self._elements) for name, tree in job.plan.inputs.items()}

    def _static_grant(self, process: int) -> Grant | None:
        if process not in self._grants:
            self._grants[process] = static_grant(self.program.processes[process])
        return self._grants[process]

    def _directory(self, number: int, attempt: int) -> str:
        return job_directory(str(self.folder), number, attempt)


MODES: dict[str, TaskMode] = {"job": "run", "bind": "bind", "loop": "prologue"}


def _stored(job: LiveJob) -> BalsamJob:
    plan = job.plan
    return BalsamJob(
        id=plan.id,
        name=plan.name,
        kind=plan.kind,
        process=plan.process,
        step=plan.step,
        inputs=pack_trees(plan.inputs),
        state=job.state,
        waiting_for=job.waiting_for,
    )


def _decoded(outputs: Mapping[str, Raw]) -> dict[str, object]:
    return {name: msgspec.msgpack.decode(value) for name, value in outputs.items()}
