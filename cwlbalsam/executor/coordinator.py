"""The coordinator of one run: it owns every job's state, and tells workers what to do.

All it does happens in batches: the outcomes of one wake-up lead to one transaction and one submission of tasks.
Values pass through as msgpack and are never decoded here.

What it knows is in its books, `books.py`. `endings.py` says what an outcome means, `growth.py` how the DAG grows,
`asking.py` what is asked of the pool, `transitions.py` which scripts run, `remaking.py` what happens when files are
gone, `commits.py` when changes are written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Raw

from cwlbalsam.cwl.command_jobs import process_of
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.asking import command_of, is_unsized, known_grant, task_for
from cwlbalsam.executor.books import Books
from cwlbalsam.executor.commits import Commits
from cwlbalsam.executor.endings import Endings
from cwlbalsam.executor.events import JobStarted, Reporter
from cwlbalsam.executor.growth import Growth
from cwlbalsam.executor.live import NO_RETRY, Failure, LiveJob, Remembered, RetryPolicy, fingerprint
from cwlbalsam.executor.memory import Memory
from cwlbalsam.executor.remaking import Remaking
from cwlbalsam.executor.transitions import Scripted, Scripts
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.model import BalsamJob, Changes, JobKind, State
from cwlbalsam.jobs.names import job_directory
from cwlbalsam.jobs.references import NULL, resolve
from cwlbalsam.jobs.states import FINAL, Event

MAX_IN_FLIGHT = 4096  # jobs at the pool; the others wait here, where each costs less memory
STARTABLE = (State.READY, State.RESTART_READY, State.PREPROCESSED)


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
    the coordinator itself, in `write` or in the reporter; nothing is started or kept after that.
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
        self.broken: Exception | None = None
        self.done = asyncio.Event()
        self.root = -1
        self._memory = Memory(memory)
        self._is_resumed = bool(memory)
        self._folder = str(folder)
        self._reporter = reporter
        self._tasks: list[Task] = []
        self._running: set[int] = set()
        self._books = Books(self._memory)
        self.commits = Commits(self._books, write, self._ending)
        self.scripts = Scripts(program, folder, self.commits.now)
        self._growth = Growth(program, self._books, self._memory, reporter)
        self.remaking = Remaking(self._books, reporter, self.commits.now)
        self._endings = Endings(
            self._books,
            self._growth,
            self.scripts,
            self.remaking,
            reporter,
            retry=retry,
            stop_on_error=stop_on_error,
        )
        self.jobs = self._books.jobs
        self.additions = self._growth.additions

    @property
    def failures(self) -> list[Failure]:
        return self._endings.failures

    def first_changes(self, inputs: Mapping[str, Raw]) -> Changes:
        """Expand the run; returns its first jobs, to be written with the run itself."""
        self.root = self._growth.start(inputs)
        return self._books.take_changes()

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
                    self._endings.take(job, outcome)
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
            self._endings.stopping = True
            self.pool.cancel(list(self._running), unstarted=drain)
            if not drain:
                self.scripts.cancel()
            self._work()

    def restore(self, jobs: Iterable[BalsamJob], edges: Iterable[tuple[int, int]], *, again: bool) -> None:
        """See `Growth`."""
        self._growth.restore(jobs, edges, again=again)

    def change(self, change: DagChange) -> None:
        """Make a change of the DAG as a whole. Raises JobError, and changes nothing, if it cannot be made."""
        self._change(change)
        with self._ending():
            self._work()

    def scripted(self, ended: Scripted) -> None:
        """Take how a script has ended, and what it asks for."""
        with self._ending():
            job = self.jobs[ended.script.job]
            outcome = self.scripts.end(ended.script)
            error = ended.error
            try:
                if not error:
                    self._change(ended.change)
            except JobError as failed:
                error = f"the {ended.script.phase} script: {failed}"
            self._endings.take_script(job, outcome, ended, error)
            self._work()
            self.commits.now()  # a script that has ended well is not to run again

    def outputs(self) -> dict[str, Raw]:
        """The run's outputs, those that failed jobs should have made being null."""
        root = self.jobs[self.root]
        if root.outputs is not None:
            return self.remaking.current(dict(root.outputs))
        found = {}
        for name, tree in root.plan.inputs.items() if root.plan.kind == "gather" else ():
            try:
                found[name] = resolve(tree, self._books.value, self._books.elements)
            except (JobError, LookupError):
                found[name] = NULL
        return self.remaking.current(found)

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
        ready, finished, running = self._books.ready, self._books.finished, self._running
        while finished or (ready and len(running) < MAX_IN_FLIGHT):
            while finished:
                self._books.release(finished.popleft())
            while ready and not finished and len(running) < MAX_IN_FLIGHT:
                self._prepare(self.jobs[ready.popleft()])
        tasks, self._tasks = self._tasks, []
        self.commits.soon(idle=not running)
        if tasks:
            self.pool.submit(tasks)
        if not running and not self.scripts.are_running:
            self.done.set()
        else:
            self.done.clear()

    def _prepare(self, job: LiveJob) -> None:
        """Do what a ready job is for, or have a worker do it."""
        if job.state not in STARTABLE:
            return
        try:
            match job.plan.kind:
                case "gather":
                    self._books.finish(job, self._books.inputs(job))
                    self._books.elements.forget(job.plan.after[0])  # its scatter, all of whose jobs have ended
                case "scatter":
                    self._growth.scatter(job)
                case _:
                    self._dispatch(job)
        except JobError as error:
            self._endings.fail(job, str(error))

    def _dispatch(self, job: LiveJob) -> None:
        plan = job.plan
        inputs = self.remaking.current(self._books.inputs(job))
        previous = self.remaking.current(self._books.previous(job))
        process = process_of(self.program, plan.process)
        assert process is not None
        job.fingerprint = fingerprint(process.key, plan.kind, self._growth.step_key(plan), inputs, previous)
        if self._is_resumed and self._recall(job):
            return
        if self._endings.stopping:
            return
        command = command_of(job, inputs)
        if is_unsized(job):
            job.grant = known_grant(process, command)
        if not is_unsized(job) and job.state is not State.PREPROCESSED and self.scripts.has(job, "preprocess"):
            self._books.move(job, Event.STAGED_IN)
            self.scripts.begin(job, "preprocess")
            return
        directory = job_directory(self._folder, plan.id, job.attempt)
        self._tasks.append(task_for(self.program, job, inputs, previous, command=command, directory=directory))
        self._running.add(plan.id)
        self._books.move(job, Event.DISPATCHED)

    def _recall(self, job: LiveJob) -> bool:
        """Take over what the job ended with in an earlier part of the run, if it would do the same again."""
        outcome = self._memory.outcome(job)
        if outcome is not None:
            self._endings.take_over(job, outcome)
        elif self._memory.is_current(job):
            self._books.forget(job)
        return outcome is not None

    # --- changes from outside ---

    def _change(self, change: DagChange) -> None:
        for job in self._growth.change(change):
            self._kill(job)

    def _kill(self, job: LiveJob) -> None:
        number = job.plan.id
        if job.state in FINAL:
            return
        if number in self._running:
            self._endings.killed.add(number)
            self.pool.cancel([number])
        elif not self.scripts.runs(number):
            self._endings.kill(job)
