"""The standing queue of a home: commands that users submit, one after the other, run by a process of its own.

Each site has a queue, with a folder below `queues`: `requests` (what is not yet taken over), `submit.lock` (held by who
submits, and by the process while it ends: so nothing is submitted to a run that is ending), `daemon.lock` (held by the
process), `daemon.log`. Its runs follow each other; job numbers count through the home.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.commands import Command
from cwlbalsam.jobs.dag import DagChange, NewJob, decode_change, encode_change
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.home import Home
from cwlbalsam.service.queue_checks import check_commands
from cwlbalsam.service.runs import QUEUES
from cwlbalsam.store import Store, StoredJob, open_store
from cwlbalsam.store.mailbox import Mailbox

HERE = "local"
"""The queue of this machine."""
FIRST_ID = 101
LIVE = ("running", "interrupted")
WAIT_POLL_SECONDS = 0.1
FEW = 20
"""So many jobs are looked up one by one."""


class Draft(Struct, frozen=True):
    """A job to submit. output: file for what it prints, where %j stands for its number and %x for its name."""

    name: str
    command: Command
    output: str = ""
    error: str = ""


class Queue(Struct, frozen=True):
    """site: empty: this machine."""

    home: Home
    site: str = ""

    @property
    def folder(self) -> Path:
        return self.home.path / "queues" / (self.site or HERE)

    @property
    def document(self) -> str:
        return QUEUES + (self.site or HERE)

    @property
    def box(self) -> Mailbox:
        return Mailbox(self.folder / "requests")

    def current(self, store: Store) -> RunRecord | None:
        """The run that jobs are added to; None if there is none under way."""
        return next((run for run in store.runs(0, LIVE) if run.document == self.document), None)

    def pending(self) -> list[NewJob]:
        """Jobs that are submitted and not yet taken over."""
        found: list[NewJob] = []
        for path in self.box.waiting():
            with contextlib.suppress(FileNotFoundError):
                found += decode_change(path.read_bytes()).jobs
        return found


class QueuedJob(Struct, kw_only=True):
    """A job of a queue, as people see it. job: None: it is not yet taken over. run: that it belongs to."""

    id: int
    name: str
    site: str
    run: RunRecord | None = None
    job: StoredJob | None = None

    @property
    def state(self) -> State:
        return self.job.state if self.job is not None else State.CREATED


def queues(home: Home) -> list[Queue]:
    folders = sorted(path for path in (home.path / "queues").glob("*/") if path.is_dir())
    return [Queue(home, "" if path.name == HERE else path.name) for path in folders]


# --- submitting ------------------------------------------------------------------------------------------------------


def submit(queue: Queue, drafts: Sequence[Draft], after: Sequence[int] = ()) -> list[int]:
    """Their numbers; they are durable then, and run when those before them have ended well.

    Raises UserError if one could never run.
    """
    check_commands(queue.home, queue.site, [draft.command for draft in drafts], queue.folder / "fitting.json")
    queue.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(queue.folder / "submit.lock"):
        parents = _parents(queue, after)
        first = reserve(queue.home, len(drafts))
        numbers = list(range(first, first + len(drafts)))
        jobs = tuple(_new_job(draft, number, parents) for draft, number in zip(drafts, numbers, strict=True))
        queue.box.put(encode_change(DagChange(jobs=jobs)))
        ensure_daemon(queue)
    return numbers


def _new_job(draft: Draft, number: int, parents: tuple[int, ...]) -> NewJob:
    directory = draft.command.directory
    stdout = _output(draft.output or "%x.o%j", draft.name, number, directory)
    stderr = _output(draft.error, draft.name, number, directory) if draft.error else ""
    command = replace(draft.command, stdout=stdout, stderr=stderr)
    return NewJob(f"{draft.name}[{number}]", command, parents, number)


def _output(pattern: str, name: str, number: int, directory: str) -> str:
    text = pattern.replace("%j", str(number)).replace("%x", name.replace("/", "_"))
    return os.path.join(directory, text)  # noqa: PTH118 - ten thousand of them in a call


def reserve(home: Home, count: int) -> int:
    """The first of so many numbers that no job of this home has."""
    folder = home.path / "queues"
    with _locked(folder / "next.lock"):
        path = folder / "next"
        first = int(path.read_text()) if path.exists() else FIRST_ID
        hidden = path.with_name(".next")
        hidden.write_text(str(first + count))
        hidden.replace(path)
    return first


def _parents(queue: Queue, after: Sequence[int]) -> tuple[int, ...]:
    """Those that have not ended well yet. Raises UserError for those that never will."""
    if not after:
        return ()
    left = []
    for found in find_jobs(queue.home, after):
        if (found.site or "") != queue.site:
            raise UserError(
                f"job {found.id} is in the queue of {found.site or 'this machine'}: none of another can wait for it",
                hint="submit both to one site",
            )
        if found.state in FINAL - {State.JOB_FINISHED}:
            raise UserError(f"job {found.id} is {found.state.name}: what is to come after it would never run")
        if found.state is not State.JOB_FINISHED or (found.run is not None and found.run.status in LIVE):
            left.append(found.id)
    return tuple(dict.fromkeys(left))


# --- looking ---------------------------------------------------------------------------------------------------------


def find_jobs(home: Home, numbers: Collection[int]) -> list[QueuedJob]:
    """Raises UserError for a number that no job has."""
    pending = {job.id: _pending(queue, job) for queue in queues(home) for job in queue.pending()}
    found = []
    with contextlib.closing(open_store(home.path)) as store:
        runs = [run for run in store.runs() if run.document.startswith(QUEUES)]
        for run in runs if len(numbers) > FEW else ():
            pending |= {job.id: _queued(run, job) for job in store.jobs(run.id) if job.kind == "job"}
        for number in numbers:
            known = pending.get(number)
            for run in runs if len(numbers) <= FEW else ():
                with contextlib.suppress(LookupError):
                    known = _queued(run, store.job(run.id, number))
                    break
            if known is None:
                raise UserError(f"there is no job {number}", hint="`cwlbalsam qstat --all` lists the jobs")
            found.append(known)
    return found


def list_jobs(home: Home, *, everything: bool = False) -> list[QueuedJob]:
    """Those that have not ended; everything: of all runs of all queues."""
    found: dict[int, QueuedJob] = {}
    for queue in queues(home):
        found |= {job.id or 0: _pending(queue, job) for job in queue.pending()}
    states = set(State) if everything else set(State) - FINAL
    with contextlib.closing(open_store(home.path)) as store:
        for run in store.runs(0, () if everything else LIVE):
            if run.document.startswith(QUEUES):
                jobs = store.jobs(run.id, states)
                found |= {job.id: _queued(run, job) for job in jobs if job.kind == "job"}
    return [found[number] for number in sorted(found)]


def _pending(queue: Queue, job: NewJob) -> QueuedJob:
    return QueuedJob(id=job.id or 0, name=job.name, site=queue.site)


def _queued(run: RunRecord, job: StoredJob) -> QueuedJob:
    site = run.document.removeprefix(QUEUES)
    return QueuedJob(id=job.id, name=job.name, site="" if site == HERE else site, run=run, job=job)


def wait(home: Home, numbers: Sequence[int]) -> Iterator[QueuedJob]:
    """Each job once it has ended, in the order of the numbers."""
    left = deque(numbers)
    while left:
        while find_jobs(home, [left[0]])[0].state not in FINAL:
            revive(home)
            time.sleep(WAIT_POLL_SECONDS)
        for found in find_jobs(home, left):
            if found.state not in FINAL:
                break
            left.popleft()
            yield found


# --- ending ----------------------------------------------------------------------------------------------------------


def kill_jobs(home: Home, numbers: Sequence[int]) -> list[QueuedJob]:
    """Ask for their end, and that of all that waits for them; those that have ended already stay as they are."""
    found = find_jobs(home, numbers)
    for site in {job.site for job in found}:
        queue = Queue(home, site)
        kills = tuple(job.id for job in found if job.site == site and job.state not in FINAL)
        if kills:
            with _locked(queue.folder / "submit.lock"):
                queue.box.put(encode_change(DagChange(kills=kills)))
                ensure_daemon(queue)
    return found


# --- the process -----------------------------------------------------------------------------------------------------


def revive(home: Home) -> None:
    """Start the processes of queues that have something to do and none."""
    for queue in queues(home):
        with contextlib.closing(open_store(home.path)) as store:
            has_work = bool(queue.box.waiting()) or queue.current(store) is not None
        if has_work:
            ensure_daemon(queue)


def ensure_daemon(queue: Queue) -> None:
    """Start the queue's process if there is none."""
    with (queue.folder / "daemon.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    command = [sys.executable, "-m", "cwlbalsam.service.queue_daemon", str(queue.home.path), queue.site]
    with (queue.folder / "daemon.log").open("ab") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
