"""The DAG of a run as scripts and other processes see it, and what they ask of it: one change, handed in as a whole."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.commands import Command
from cwlbalsam.jobs.dag import DagChange, NewJob, Ref, encode_change
from cwlbalsam.jobs.model import State

ANSWER_POLL_SECONDS = 0.05
QUEUES = "cwlbalsam://queue/"


class Job:
    """A job of a run. id: negative for one that is only asked for."""

    def __init__(self, dag: "Dag", id: Ref, name: str) -> None:
        self._dag, self.id, self.name = dag, id, name

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.name!r})"

    @property
    def state(self) -> State:
        """As the store has it now."""
        return State.CREATED if self.id < 0 else self._dag._stored(self.id).state

    @property
    def directory(self) -> Path:
        """Of its last attempt."""
        from cwlbalsam.jobs.names import job_directory

        return Path(job_directory(f"{self._dag._record().directory}/jobs", self.id, self._dag._stored(self.id).attempt))

    @property
    def outputs(self) -> dict[str, Any]:
        """What it has made, Files as CWL has them; {} before it has ended well."""
        outcome = self._dag._stored(self.id).outcome if self.id >= 0 else None
        if outcome is None:
            return {}
        found: dict[str, Any] = msgspec.msgpack.decode(outcome).get("outputs", {})
        return found

    def parents(self) -> list["Job"]:
        """The jobs that had to finish before it; those of a document also through what only structures its DAG."""
        return self._dag.parents(self)

    def children(self) -> list["Job"]:
        """The jobs that wait for it, or have."""
        return self._dag.children(self)


class Dag:
    """A run's DAG, and what is asked of it. hand_in: takes the change when it is complete."""

    def __init__(self, home: Path, run: str, current: int | None, hand_in: Callable[[DagChange], None]) -> None:
        self._home, self._run, self._current = home, run, current
        self._hand_in = hand_in
        self._jobs: list[NewJob] = []
        self._edges: list[tuple[Ref, Ref]] = []
        self._kills: list[Ref] = []
        self._names: dict[str, int] = {}
        self._store: Any = None

    # --- looking ---

    @property
    def current_job(self) -> Job:
        """The job that this script belongs to. Raises UserError outside of scripts."""
        if self._current is None:
            raise UserError("no script of a job runs here, so there is no current job")
        return self.job(self._current)

    def job(self, which: int | str) -> Job:
        """By number or name. Raises LookupError."""
        found = self._opened().job(self._record().id, which)
        return Job(self, found.id, found.name)

    def jobs(self, states: Iterable[State] = (), name: str = "") -> list[Job]:
        """In these states (all, if there are none), with names that match a glob with * and ?."""
        found = self._opened().jobs(self._record().id, set(states), name)
        return [Job(self, job.id, job.name) for job in found if job.kind == "job"]

    def parents(self, of: Job) -> list[Job]:
        """See `Job.parents`."""
        return self._next(of, 1)

    def children(self, of: Job) -> list[Job]:
        """See `Job.children`."""
        return self._next(of, 0)

    def _next(self, of: Job, end: int) -> list[Job]:
        """The nearest jobs that do something. end: of an edge, where `of` stands: 0 the parent's, 1 the child's."""
        run = self._record().id
        beside: dict[int, list[int]] = {}
        for edge in [*self._opened().edges(run), *self._edges]:
            beside.setdefault(edge[end], []).append(edge[1 - end])
        found: dict[int, Job] = {}
        seen, left = {of.id}, list(beside.get(of.id, ()))
        while left:
            number = left.pop(0)
            if number in seen:
                continue
            seen.add(number)
            if number < 0:
                found[number] = Job(self, number, self._jobs[-1 - number].name)
                continue
            stored = self._opened().job(run, number)
            if stored.kind == "job":
                found[number] = Job(self, number, stored.name)
            else:
                left += beside.get(number, ())
        return list(found.values())

    # --- asking for changes ---

    def add(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        name: str = "",
        after: Iterable[Job] = (),
        before: Iterable[Job] = (),
        directory: str | os.PathLike[str] = ".",
        environment: dict[str, str] | None = None,
        **asks: Any,
    ) -> Job:
        """A new job that runs a command. after: what it waits for; before: what waits for it.

        environment: beside the usual variables. asks: cores, ram (MiB), gpus, ranks, nodes, wall_seconds, mode,
        stdout, stderr, preprocess, postprocess: as `jobs.commands.Command` has them.
        """
        words = tuple(os.fspath(word) for word in argv)
        usual = {key: os.environ[key] for key in ("PATH", "HOME", "USER", "LOGNAME", "LANG") if key in os.environ}
        fields = {
            "argv": words,
            "directory": str(Path(directory).absolute()),
            "environment": usual | (environment or {}),
            "mode": "mpi" if asks.get("ranks") or asks.get("nodes") else "serial",
        }
        try:
            command = msgspec.convert(fields | asks, Command)
        except msgspec.ValidationError as error:
            raise UserError(f"a job cannot be asked for so: {error}") from None
        job = Job(self, -1 - len(self._jobs), name or self._name(words))
        self._jobs.append(NewJob(job.name, command, tuple(parent.id for parent in after)))
        self._edges += [(job.id, child.id) for child in before]
        return job

    def spawn(self, argv: Sequence[str | os.PathLike[str]], **options: Any) -> Job:
        """A new child of the current job: `add` with that among `after`."""
        after = [self.current_job, *options.pop("after", ())]
        return self.add(argv, after=after, **options)

    def depend(self, child: Job, parent: Job) -> None:
        """Let a job, which has not started, wait for another one as well."""
        self._edges.append((parent.id, child.id))

    def kill(self, job: Job) -> None:
        """End a job, and all that waits for it."""
        self._kills.append(job.id)

    def _name(self, words: Sequence[str]) -> str:
        program = Path(words[0]).name if words else "job"
        if self._current is None:
            base = f"{program}-{time.time_ns():x}"
        else:
            phase = "before/" if os.environ.get("CWLBALSAM_PHASE") == "preprocess" else ""
            base = f"{self.current_job.name}/{phase}{program}"
        number = self._names[base] = self._names.get(base, -1) + 1
        return f"{base}[{number}]"

    def commit(self) -> None:
        """Hand in what was asked for. Scripts and `with` blocks do it when they end well."""
        change = DagChange(tuple(self._jobs), tuple(self._edges), tuple(self._kills))
        self._jobs, self._edges, self._kills = [], [], []
        if change:
            self._hand_in(change)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.commit()

    # --- the store ---

    def _opened(self) -> Any:
        if self._store is None:
            from cwlbalsam.store import open_store

            self._store = open_store(self._home)
        return self._store

    def _record(self) -> Any:
        return self._opened().run(self._run)

    def _stored(self, number: int) -> Any:
        return self._opened().job(self._record().id, number)


def open_dag(run: str, home: str | os.PathLike[str] | None = None) -> Dag:
    """The DAG of a run that is under way, for a `with` block. Raises UserError.

    run: its id or the first characters of it. home: `$CWLBALSAM_HOME` or `~/.cwlbalsam`.
    """
    folder = Path(home or os.environ.get("CWLBALSAM_HOME") or Path.home() / ".cwlbalsam").absolute()
    dag = Dag(folder, run, None, lambda change: _send(dag, folder, change))
    if dag._record().status != "running":
        raise UserError(f"run {run} is not under way: it is {dag._record().status}")
    return dag


def _send(dag: Dag, home: Path, change: DagChange) -> None:
    """Ask the run's coordinator, and wait for its answer. Raises UserError if it refuses, or has ended."""
    from cwlbalsam.store.mailbox import Mailbox, refusal_of

    record = dag._record()
    is_queue = record.document.startswith(QUEUES)
    folder = home / "queues" / record.document.removeprefix(QUEUES) if is_queue else Path(record.directory)
    request = Mailbox(folder / "requests").put(encode_change(change))
    while request.exists():
        if dag._record().status != "running":
            request.unlink(missing_ok=True)
            raise UserError(f"run {record.id} has ended before the change was made")
        time.sleep(ANSWER_POLL_SECONDS)
    if refusal := refusal_of(request):
        raise UserError(refusal)
