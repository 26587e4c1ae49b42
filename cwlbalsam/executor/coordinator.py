"""The coordinator of one run: it owns every job's state, and tells workers what to do.

All it does happens in batches: the outcomes of one wake-up lead to one transaction and one submission of tasks.
Values pass through as msgpack and are never decoded here.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from cwlbalsam.cwl.command_jobs import COMMANDS, grant_of, process_of
from cwlbalsam.cwl.records import Process, Program
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant, Outcome, Task, TaskMode
from cwlbalsam.errors import JobError
from cwlbalsam.executor.additions import Additions
from cwlbalsam.executor.events import JobEnded, JobKept, JobsAdded, JobStarted, Reporter
from cwlbalsam.executor.live import NO_RETRY, Failure, LiveJob, Remembered, RetryPolicy, fingerprint, stored
from cwlbalsam.executor.transitions import Phase, Script, Scripted, Transitions, script_of
from cwlbalsam.jobs.commands import COMMAND, PORT, decode_command
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.model import BalsamJob, Changes, JobKind, Move, State
from cwlbalsam.jobs.names import job_directory, step_of
from cwlbalsam.jobs.references import NULL, Elements, Tree, array_items, is_array, resolve, unpack_trees
from cwlbalsam.jobs.states import FINAL, Event, advance
from cwlbalsam.parser.expand import Expander, Expansion, Planned

MAX_LOSSES = 3  # a job that has ended so many workers gets no other one
KILLED = {-9, 137}  # exit codes of a command that was killed, as the kernel does when memory is short
COMMIT_SECONDS = 0.02  # moves wait so long for others, to be written in one transaction
MAX_IN_FLIGHT = 4096  # jobs at the pool; the others wait here, where each costs less memory
_NO_INPUTS: dict[str, Tree] = {}  # of all jobs that have finished
STARTABLE = (State.READY, State.RESTART_READY, State.PREPROCESSED)
BOOKKEEPING = Grant(cores=0.0, ram=0.0, tmpdir=0.0, outdir=0.0)


class Pool(Protocol):
    """What the coordinator needs of a WorkerPool."""

    def submit(self, tasks: list[Task]) -> None: ...
    def cancel(self, jobs: list[int], *, unstarted: bool = False) -> None: ...


class Coordinator:
    """Runs one Program to its end.

    write: keeps changes of the DAG, in the order they are made. memory: of the earlier parts of a resumed run, by name
    and kind; a job whose process, step and inputs are what they were is not run again.

    `done` is set when nothing runs and nothing can start. Jobs that a stopped run has not started stay as they are,
    and those it has cancelled wait to be restarted: a resumed run goes on from there. `broken` is what went wrong in
    the coordinator itself, in `write` or in the reporter; nothing is started or kept after that. `later` is a loop's
    `call_later`, to write in groups; None: each change is written at once. `transitions` runs the jobs' scripts.
    """

    def __init__(
        self,
        program: Program,
        pool: Pool,
        folder: Path,
        *,
        write: Callable[[Changes], None],
        reporter: Reporter,
        stop_on_error: bool = True,
        retry: RetryPolicy = NO_RETRY,
        memory: Mapping[tuple[str, JobKind], Remembered] | None = None,
    ) -> None:
        import asyncio  # takes long: meanwhile the workers, which are forked before, import what they need

        self.program = program
        self.pool = pool
        self.folder = folder
        self.jobs: dict[int, LiveJob] = {}
        self.failures: list[Failure] = []
        self.broken: Exception | None = None
        self.done = asyncio.Event()
        self.root = -1
        self.later: Callable[[float, Callable[[], None]], object] | None = None
        self.transitions: Transitions | None = None
        self._memory = memory or {}
        self._retry = retry
        self._expander = Expander(program, {key: known.id for key, known in self._memory.items()})
        self._elements = Elements(self._lookup)
        self._write = write
        self._reporter = reporter
        self._stop_on_error = stop_on_error
        self._stopping = False
        self._changes = Changes()
        self._commit_set = False
        self._ready: deque[int] = deque()
        self._finished: deque[int] = deque()
        self._tasks: list[Task] = []
        self._running: set[int] = set()
        self._scripted: dict[int, Outcome | None] = {}  # jobs whose script runs; after the job: what that ended with
        self._killed: set[int] = set()  # that still run
        self.additions = Additions(self.jobs, self._expander)
        self._late: dict[int, list[int]] = {}  # jobs that are still to come, and what they have to wait for as well
        self._lost: list[int] = []  # jobs that will never finish, for which somebody has come to wait
        self._owed: dict[int, list[int]] = {}  # jobs that are still to come, and who waits for them

    def first_changes(self, inputs: Mapping[str, Raw]) -> Changes:
        """Expand the run; returns its first jobs, to be written with the run itself."""
        expansion, self.root = self._expander.start(inputs)
        self._admit(expansion)
        changes, self._changes = self._changes, Changes()
        return changes

    def start(self) -> None:
        """Hand out what can start."""
        with self._ending():
            self._work()

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Take what workers report. Anything about another attempt is dropped."""
        with self._ending():
            if self.broken is not None:
                return
            for outcome in outcomes:
                job = self.jobs.get(outcome.job)
                if job is not None and job.state is State.RUNNING and job.attempt == outcome.attempt:
                    self._running.discard(outcome.job)
                    self._take(job, outcome)
            self._work()

    def started(self, numbers: Iterable[int]) -> None:
        """Tell which jobs have got their share of the machine."""
        with self._ending():
            for number in numbers:
                job = self.jobs[number]
                if job.plan.kind == "job" and job.grant is not None:  # without one, only its size is asked for
                    self._reporter.report(JobStarted(job.plan.name, number))

    def stop(self, *, drain: bool = False) -> None:
        """Start nothing more, and end what runs (drain: let it run to its end); `done` is set when all have ended."""
        with self._ending():
            if self.broken is not None:
                return
            self._stopping = True
            self.pool.cancel(list(self._running), unstarted=drain)
            if self.transitions is not None and not drain:
                self.transitions.cancel()
            self._work()

    # --- changes from outside ---

    def restore(self, jobs: Iterable[BalsamJob], edges: Iterable[tuple[int, int]], *, again: bool) -> None:
        """Take over jobs that were added in an earlier part of the run, before its first changes are made.

        again: those that failed are tried again.
        """
        added = {job.id: job for job in jobs}
        before: dict[int, list[int]] = {}
        for parent, child in edges:
            if parent in added or child in added:
                (before if child in added else self._late).setdefault(child, []).append(parent)
        expansion = Expansion()
        for job in added.values():
            plan = self._expander.added(job.name, unpack_trees(job.inputs), tuple(before.get(job.id, ())), job.id)
            self.additions.named[job.name] = job.id
            if job.state is State.USER_KILLED or (job.state in FINAL - {State.JOB_FINISHED} and not again):
                self.jobs[job.id] = LiveJob(plan, state=job.state, children=[], attempt=max(job.attempt, 1))
            else:
                expansion.jobs.append(plan)
        self._admit(expansion)

    def change(self, change: DagChange) -> None:
        """Make a change of the DAG as a whole. Raises JobError, and changes nothing, if it cannot be made."""
        self._change(change)
        with self._ending():
            self._work()

    def _change(self, change: DagChange) -> None:
        expansion, kills = self.additions.plan(change)
        if expansion.jobs or expansion.waits:
            self._admit(expansion)
        for number in kills:
            self._kill(self.jobs[number])

    def _kill(self, job: LiveJob) -> None:
        number = job.plan.id
        if job.state in FINAL:
            return
        if number in self._running:
            self._killed.add(number)
            self.pool.cancel([number])
        elif number not in self._scripted:
            self._end_killed(job)

    def _end_killed(self, job: LiveJob, outcome: Outcome | None = None) -> None:
        self._killed.discard(job.plan.id)
        self._move(job, Event.KILLED_BY_USER, outcome, "killed by the user")
        if job.plan.process != COMMAND:  # the document's outputs depend on it
            self.failures.append(Failure(job.plan.id, job.plan.name, "killed by the user", "", bug=False))
        self._reporter.report(JobEnded(job.plan.name, job.plan.id, "killed", "killed by the user"))
        self._doom(job, "was killed")

    # --- scripts before and after jobs ---

    def scripted(self, ended: Scripted) -> None:
        """Take how a script has ended."""
        with self._ending():
            job = self.jobs[ended.script.job]
            outcome = self._scripted.pop(job.plan.id)
            error = ended.error
            try:
                if not error:
                    self._change(ended.change)
            except JobError as failed:
                error = f"the {ended.script.phase} script: {failed}"
            if not error:
                self._go_on(job, outcome)
            elif ended.cancelled or self._stopping:
                self._reporter.report(JobEnded(job.plan.name, job.plan.id, "cancelled", error))
            elif job.failures < self._retry.retries:
                job.failures += 1
                self._transit(job, ended.script.phase, outcome)
            else:
                self._fail(job, error, outcome)
            self._work()
            self._commit()  # a script that has ended well is not to run again

    def _go_on(self, job: LiveJob, outcome: Outcome | None) -> None:
        if outcome is None:
            self._move(job, Event.PREPROCESSED)
            self._ready.append(job.plan.id)
            return
        for event in (Event.POSTPROCESSED, Event.STAGED_OUT, Event.FINISHED):
            self._move(job, event)
        self._conclude(job, outcome)

    def _transit(self, job: LiveJob, phase: Phase, outcome: Outcome | None = None) -> bool:
        """Have a job's script run, if it has one. outcome: of the job, for the script after it."""
        plan = job.plan
        argv = script_of(process_of(self.program, plan.process), job, phase)
        if not argv or self.transitions is None:
            return False
        self._scripted[plan.id] = outcome
        self._commit()  # the script may ask how its job stands
        directory = self._directory(plan.id, job.attempt)
        self.transitions.submit(Script(plan.id, plan.name, job.attempt, phase, argv, directory))
        return True

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

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Whoever waits for `done` shall not wait for ever because of an error that an event loop would only log."""
        try:
            yield
        except Exception as error:
            self.broken = error
            self.done.set()

    def _work(self) -> None:
        while self._finished or (self._ready and len(self._running) < MAX_IN_FLIGHT):
            while self._finished:
                self._release(self._finished.popleft())
            while self._ready and not self._finished and len(self._running) < MAX_IN_FLIGHT:
                self._prepare(self.jobs[self._ready.popleft()])
        tasks, self._tasks = self._tasks, []
        self._commit_soon()
        if tasks:
            self.pool.submit(tasks)
        if not self._running and not self._scripted:
            self.done.set()
        else:
            self.done.clear()

    def _commit_soon(self) -> None:
        """Write what has changed: moves within a moment, new jobs before any of them is handed out.

        Moves may wait because a worker journals an outcome before it tells it, so a crash loses none; jobs may not,
        because a journal names them by ids that only the store explains.
        """
        changes = self._changes
        if self.later is None or not self._running or changes.jobs or changes.restarts:
            self._commit()
        elif changes.moves and not self._commit_set:
            self._commit_set = True
            self.later(COMMIT_SECONDS, self._commit_now)

    def _commit_now(self) -> None:
        with self._ending():
            self._commit_set = False
            self._commit()

    def _commit(self) -> None:
        if self._changes.jobs or self._changes.moves or self._changes.restarts:
            changes, self._changes = self._changes, Changes()
            self._write(changes)

    def _release(self, number: int) -> None:
        """Count down the children of a finished job: O(children)."""
        finished = self.jobs[number]
        children, finished.children = finished.children, None
        for child in children or ():
            job = self.jobs[child]
            job.waiting_for -= 1
            if job.waiting_for == 0 and job.state is State.AWAITING_PARENTS:
                job.state = advance(job.state, Event.PARENTS_FINISHED)
                self._ready.append(child)
        if finished.plan.kind == "job":
            finished.plan.inputs = _NO_INPUTS

    def _prepare(self, job: LiveJob) -> None:
        """Do what a ready job is for, or have a worker do it."""
        if job.state not in STARTABLE:
            return
        try:
            match job.plan.kind:
                case "gather":
                    self._finish(job, self._resolve(job))
                    self._elements.forget(job.plan.after[0])  # its scatter, all of whose jobs have ended
                case "scatter":
                    self._scatter(job)
                case _:
                    self._dispatch(job)
        except JobError as error:
            self._fail(job, str(error))

    def _dispatch(self, job: LiveJob) -> None:
        plan = job.plan
        inputs = self._resolve(job)
        previous = dict(self.jobs[plan.previous].outputs or {}) if plan.previous >= 0 else {}
        step = self._expander.step(plan).key if plan.step is not None else ""
        process = process_of(self.program, plan.process)
        assert process is not None
        job.fingerprint = fingerprint(process.key, plan.kind, step, inputs, previous)
        if self._memory and self._recall(job):
            return
        if self._stopping:
            return
        command = decode_command(inputs[PORT]) if plan.process == COMMAND else None
        if plan.kind == "job" and job.grant is None:
            job.grant = static_grant(process) if command is None else grant_of(command)
        size_first = plan.kind == "job" and job.grant is None
        if not size_first and job.state is not State.PREPROCESSED and self._prepared(job):
            return
        self._tasks.append(
            Task(
                job=plan.id,
                attempt=job.attempt,
                mode="size" if size_first else MODES[plan.kind],
                program=self.program.digest if command is None else COMMANDS.digest,
                process=plan.process if command is None else 0,
                step=plan.step,
                loop=plan.iteration > 0,
                inputs=inputs,
                previous=previous,
                directory=self._directory(plan.id, job.attempt),
                name=plan.name,
                grant=job.grant if job.grant is not None and plan.kind == "job" else BOOKKEEPING,
                fingerprint=b"" if size_first else job.fingerprint,
                top=plan.top,
                wall_seconds=(_static_seconds(process) if command is None else command.wall_seconds) * job.time_factor,
                time_factor=job.time_factor,
                priority=_priority(process) if command is None else command.priority,
            )
        )
        self._running.add(plan.id)
        self._move(job, Event.DISPATCHED)

    def _prepared(self, job: LiveJob) -> bool:
        """Whether the job's script has to run first."""
        if not script_of(process_of(self.program, job.plan.process), job, "preprocess") or self.transitions is None:
            return False
        self._move(job, Event.STAGED_IN)
        return self._transit(job, "preprocess")

    def _take(self, job: LiveJob, outcome: Outcome) -> None:
        plan = job.plan
        match outcome.ending:
            case ending if plan.id in self._killed and ending not in ("done", "skipped"):
                self._end_killed(job, outcome)
            case "done" if plan.kind == "job" and job.grant is None:
                job.grant = msgspec.convert(_decoded(outcome.outputs), Grant)
                self._again(job, spent=False)
            case "done" if self._has_postprocess(job):
                self._move(job, Event.RAN, outcome)
                self._transit(job, "postprocess", outcome)
            case "done" | "skipped":
                self._move(job, Event.SKIPPED if outcome.ending == "skipped" else Event.FINISHED, outcome)
                self._conclude(job, outcome)
            case "temporary" if outcome.exit_code is None and job.losses + 1 < MAX_LOSSES:
                job.losses += 1
                self._again(job, spent=True)
            case "cancelled" if self._stopping:
                self._again(job, spent=False)
                self._reporter.report(JobEnded(plan.name, plan.id, outcome.ending, outcome.error, outcome.log))
            case _ if job.failures < self._retry.retries and not outcome.bug and not self._stopping:
                job.failures += 1
                self._retry_failed(job, outcome)
            case _:
                self._fail(job, outcome.error, outcome)

    def _has_postprocess(self, job: LiveJob) -> bool:
        process = process_of(self.program, job.plan.process)
        return self.transitions is not None and bool(script_of(process, job, "postprocess"))

    def _conclude(self, job: LiveJob, outcome: Outcome) -> None:
        """It has finished: what waits for it goes on."""
        plan = job.plan
        self._killed.discard(plan.id)
        job.end(outcome.outputs)
        self._finished.append(plan.id)
        self._expand(plan, outcome.ending == "skipped")
        if plan.kind == "job":
            seconds, reused = outcome.ended - outcome.started, outcome.reused
            self._reporter.report(
                JobEnded(plan.name, plan.id, outcome.ending, log=outcome.log, seconds=seconds, reused=reused)
            )

    def _again(self, job: LiveJob, *, spent: bool) -> None:
        """Once more, through no fault of the job's."""
        self._move(job, Event.PREEMPTED)
        job.attempt += spent
        self._ready.append(job.plan.id)

    def _retry_failed(self, job: LiveJob, outcome: Outcome) -> None:
        self._move(job, Event.TIMED_OUT if outcome.ending == "timeout" else Event.FAILED_RUN, outcome, outcome.error)
        self._move(job, Event.RETRY)
        if outcome.exit_code in KILLED and job.grant is not None:
            job.grant = replace(job.grant, ram=job.grant.ram * self._retry.memory_factor)
        if outcome.ending == "timeout":
            job.time_factor *= self._retry.time_factor
        job.attempt += 1
        self._ready.append(job.plan.id)

    # --- what is known from an earlier part of the run ---

    def _recall(self, job: LiveJob) -> bool:
        """Take over what the job ended with before, if it would do the same again."""
        known = self._memory.get((job.plan.name, job.plan.kind))
        outcome = known.outcome if known is not None and job.attempt == known.attempt else None
        if outcome is not None and outcome.fingerprint == job.fingerprint:
            self._take_over(job, outcome)
            return True
        if known is not None and job.attempt == known.attempt:
            self._forget(job)
        return False

    def _take_over(self, job: LiveJob, outcome: Outcome) -> None:
        skipped = outcome.ending == "skipped"
        if not skipped and not job.kept and self._has_postprocess(job):
            for event in (Event.DISPATCHED, Event.RAN):
                self._move(job, event, outcome if event is Event.RAN else None)
            self._transit(job, "postprocess", outcome)
            return
        self._move(job, Event.SKIPPED if skipped else Event.FINISHED, outcome)
        job.end(outcome.outputs)
        self._finished.append(job.plan.id)
        self._expand(job.plan, skipped)
        if job.plan.kind == "job":
            self._reporter.report(JobKept(job.plan.name, job.plan.id))

    def _forget(self, job: LiveJob) -> None:
        """The job runs again, as a new attempt in a directory of its own."""
        job.attempt += 1
        if job.kept:
            job.kept = False
            self._changes.restarts.append(stored(job))

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
        self._lost.clear()
        for plan in expansion.jobs:
            job = self.jobs[plan.id] = LiveJob(plan, children=self._owed.pop(plan.id, []))
            known = self._memory.get((plan.name, plan.kind)) if self._memory else None
            if known is not None:
                job.attempt, job.kept = known.attempt, known.finished
        for plan in expansion.jobs:
            self._wait(plan.id, plan.parents())
            if plan.id in self._late:
                self._wait(plan.id, self._late.pop(plan.id))
        for number, trees in expansion.gathers.items():
            self.jobs[number].plan.inputs = trees
        for number, found in expansion.waits.items():
            self._wait(number, found)
        for plan in expansion.jobs:
            job = self.jobs[plan.id]
            if job.waiting_for == 0:
                job.state = State.READY
                self._ready.append(plan.id)
            if (plan.name, plan.kind) not in self._memory:
                self._changes.jobs.append(stored(job))
            elif not job.kept:
                self._changes.restarts.append(stored(job))
        for number in self._lost:
            self._doom(self.jobs[number], "failed")
        steps = Counter(step_of(plan.name) for plan in expansion.jobs if plan.kind == "job")
        if steps:
            self._reporter.report(JobsAdded(steps.total(), steps))

    def _wait(self, number: int, found: Iterable[int]) -> None:
        job = self.jobs[number]
        for parent in found:
            self._changes.edges.append((parent, number))
            before = self.jobs.get(parent)
            if before is None:
                self._owed.setdefault(parent, []).append(number)
                job.waiting_for += 1
            elif before.children is not None:
                before.children.append(number)
                job.waiting_for += 1
                if before.state in FINAL and before.state is not State.JOB_FINISHED:
                    self._lost.append(parent)

    # --- ends ---

    def _finish(self, job: LiveJob, outputs: Mapping[str, Raw]) -> None:
        self._move(job, Event.FINISHED)
        job.outputs = outputs
        self._finished.append(job.plan.id)

    def _fail(self, job: LiveJob, error: str, outcome: Outcome | None = None) -> None:
        plan = job.plan
        self._move(job, Event.GIVE_UP, outcome, error)
        log, bug = (outcome.log, outcome.bug) if outcome else ("", False)
        self.failures.append(Failure(plan.id, plan.name, error, log, bug))
        self._stopping = self._stopping or self._stop_on_error
        ending = outcome.ending if outcome and outcome.ending != "done" else "failed"
        self._reporter.report(JobEnded(plan.name, plan.id, ending, error, log))
        self._doom(job, "failed")

    def _doom(self, job: LiveJob, why: str) -> None:
        """What waits for a job that will never finish."""
        doomed = deque(job.children or ())
        while doomed:
            child = self.jobs[doomed.popleft()]
            if child.state not in FINAL:
                reason = f"'{job.plan.name}' {why}"
                self._move(child, Event.PARENT_FAILED, message=reason)
                if child.plan.kind == "job":
                    self._reporter.report(JobEnded(child.plan.name, child.plan.id, "killed", reason))
                doomed.extend(child.children or ())

    def _move(self, job: LiveJob, event: Event, outcome: Outcome | None = None, message: str = "") -> None:
        state = advance(job.state, event)
        if job.kept and state is not State.JOB_FINISHED:  # else it is as the store has it
            job.kept = False
            self._changes.restarts.append(stored(job))
        job.state = state
        if job.kept:
            return
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

    def _directory(self, number: int, attempt: int) -> str:
        return job_directory(str(self.folder), number, attempt)


MODES: dict[str, TaskMode] = {"job": "run", "bind": "bind", "loop": "prologue"}


def _static_seconds(process: Process) -> float:
    batch = process.requirements.batch
    limits = (process.requirements.time_limit, batch.wall_seconds if batch is not None else 0.0)
    return min((float(limit) for limit in limits if isinstance(limit, int | float) and limit), default=0.0)


def _priority(process: Process) -> float:
    batch = process.requirements.batch
    return batch.priority if batch is not None else 0.0


def _decoded(outputs: Mapping[str, Raw]) -> dict[str, object]:
    return {name: msgspec.msgpack.decode(value) for name, value in outputs.items()}
