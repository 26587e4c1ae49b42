"""The coordinator's side of its workers: tasks go out in batches, outcomes come back in batches.

asyncio takes long to import, so that is left until the workers are forked and import what they need.
"""

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import Ending, Outcome, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.capacity import Capacity
from cwlbalsam.executor.dispatch import Batch, Dispatcher
from cwlbalsam.executor.forkserver import RECORD_BYTES, fork_server, request_worker, unpack_death
from cwlbalsam.executor.frames import FRAME_TASKS, Cancel, Inbox, Learn, Outbox, Work, pack, unpack_outcomes
from cwlbalsam.executor.journal import read_journal
from cwlbalsam.executor.recovery import end_survivors
from cwlbalsam.executor.workbench import CLEAN_UP_SECONDS, GRACE_SECONDS, Preparing
from cwlbalsam.executor.worker import work

if TYPE_CHECKING:
    import asyncio


SCRATCH_PREFIX = "cwlbalsam-"


class _Link(Struct, eq=False):
    """The connection to one worker, and the Programs that it knows."""

    number: int
    connection: socket.socket
    lost: bool = False
    programs: set[str] = msgspec.field(default_factory=set)
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    outbox: Outbox = msgspec.field(default_factory=Outbox)


class WorkerPool:
    """capacity: with it, tasks wait here until the machine has room for them; without, all are started at once.

    scratch: folder for temporary folders, made and removed by the pool; on the file system of the job directories a
    log is only renamed. journals: folder for the workers' journals; None: without. programs: digest -> msgpack of a
    Program.
    """

    def __init__(
        self,
        workers: int,
        settings: Settings,
        programs: Callable[[str], bytes],
        *,
        capacity: Capacity | None = None,
        scratch: Path | None = None,
        journals: Path | None = None,
        prepare: Preparing | None = None,
    ) -> None:
        self._count = workers
        self._settings = settings
        self._programs = programs
        self._dispatcher = Dispatcher(capacity)
        self._scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=scratch))
        self.keep_scratch = False
        self._journals = journals
        self._prepare = prepare
        self._links: dict[int, _Link] = {}
        self._numbers = 0
        self._server: socket.socket | None = None
        self._server_pid = 0
        self._deaths = bytearray()
        self._on_outcomes: Callable[[list[Outcome]], None] = lambda _: None
        self._on_started: Callable[[list[int]], None] = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn_set = False
        self._cancels: list[tuple[int, Cancel]] = []
        self._unreported: list[Outcome] = []
        self._idle: asyncio.Event | None = None
        self._closing = False

    def start(self) -> None:
        """Fork the workers. Before there is any thread or event loop."""

        def serve(connection: socket.socket, number: int) -> None:
            journal = self._journal(number)
            work(connection, self._settings, str(self._folder(number)), self._prepare, str(journal or ""))

        self._server, self._server_pid = fork_server(serve)
        for _ in range(self._count):
            self._add_worker()

    async def open(
        self, on_outcomes: Callable[[list[Outcome]], None], on_started: Callable[[list[int]], None] = lambda _: None
    ) -> None:
        """Attach to the running loop. on_started: hears of jobs that have got their share of the machine."""
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._on_outcomes, self._on_started = on_outcomes, on_started
        self._idle = asyncio.Event()
        assert self._server is not None, "start() comes first"
        self._server.setblocking(False)
        self._loop.add_reader(self._server, self._read_deaths)
        for link in self._links.values():
            self._attach(link)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Have them run, each answered by one outcome. What cannot ever run here is answered `failed`."""
        for task in tasks:
            try:
                self._dispatcher.add([task])
            except JobError as error:
                self._unreported.append(_ended(task, "failed", str(error)))
        self._schedule_turn()

    def cancel(self, jobs: Sequence[int], *, unstarted: bool = False) -> None:
        """SIGTERM, SIGKILL some seconds later; answered `cancelled` unless the outcome is on its way already.

        unstarted: let those run whose command runs.
        """
        dropped, there = self._dispatcher.cancel(jobs)
        self._unreported += [_ended(task, "cancelled", "cancelled") for task in dropped]
        for number, numbers in there.items():
            self._cancels.append((number, Cancel(numbers, unstarted)))
        self._schedule_turn()

    async def close(self, kill: bool = False) -> None:
        """Wait for what was submitted (kill: cancel it first), end the workers, remove the temporary folders."""
        import asyncio

        if kill:
            self.cancel(self._dispatcher.jobs())
        if self._idle is not None and (len(self._dispatcher) or self._unreported):
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), 2 * GRACE_SECONDS + CLEAN_UP_SECONDS if kill else None)
        self._closing = True
        for link in list(self._links.values()):
            self._detach(link)
        if self._server is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._server)
            _hang_up(self._server)
            await asyncio.to_thread(self._bury_server)
            self._server = None
        if not self.keep_scratch:
            await asyncio.to_thread(remove_tree, str(self._scratch))

    def abandon(self) -> None:
        """End the workers whatever they do, without a loop; nothing is left to do if `close` was called."""
        self._closing, self._loop = True, None
        for link in list(self._links.values()):
            self._detach(link)
        if self._server is not None:
            _hang_up(self._server)
            self._bury_server()
            self._server = None
        if not self.keep_scratch:
            remove_tree(str(self._scratch))

    # --- one turn of the loop ---

    def _schedule_turn(self) -> None:
        """All that is submitted within one turn of the loop travels together."""
        if not self._turn_set and self._loop is not None:
            self._turn_set = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_set = False
        for number, batch in self._dispatcher.assign().items():
            self._send_batch(self._links[number], batch)
        for number, cancel in self._cancels:
            if number in self._links:
                self._links[number].outbox.add(pack(cancel))
        self._cancels.clear()
        for link in self._links.values():
            self._flush(link)
        self._on_started(self._dispatcher.take_started())
        self._report([])

    def _send_batch(self, link: _Link, batch: Batch) -> None:
        for digest in {task.program for task in batch.tasks} - link.programs:
            link.outbox.add(pack(Learn(digest, self._programs(digest))))
            link.programs.add(digest)
        limits = list(batch.limits.items())
        for first in range(0, len(batch.tasks), FRAME_TASKS):
            link.outbox.add(pack(Work(batch.tasks[first : first + FRAME_TASKS], limits)))

    def _report(self, outcomes: list[Outcome]) -> None:
        outcomes, self._unreported = self._unreported + outcomes, []
        if outcomes:
            self._on_outcomes(outcomes)
        if self._idle is not None and not len(self._dispatcher) and not self._unreported:
            self._idle.set()

    # --- connections ---

    def _add_worker(self) -> None:
        assert self._server is not None
        self._numbers += 1
        link = _Link(self._numbers, request_worker(self._server, self._numbers))
        link.connection.setblocking(False)
        self._links[link.number] = link
        self._dispatcher.add_worker(link.number)
        if self._loop is not None:
            self._attach(link)

    def _attach(self, link: _Link) -> None:
        assert self._loop is not None
        self._loop.add_reader(link.connection, self._read, link)
        self._schedule_turn()

    def _detach(self, link: _Link) -> None:
        """Close the connection; a worker that sees this ends what it still runs, and itself."""
        self._links.pop(link.number, None)
        if self._loop is not None:
            self._loop.remove_reader(link.connection)
            self._loop.remove_writer(link.connection)
        _hang_up(link.connection)

    def _read(self, link: _Link) -> None:
        try:
            data = link.connection.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            assert self._loop is not None
            self._loop.remove_reader(link.connection)  # the fork server will say that it has died
            link.lost = True
            if self._server is None:
                self._bury(link)
            return
        outcomes = [outcome for body in link.inbox.feed(data) for outcome in unpack_outcomes(body)]
        for outcome in outcomes:
            self._dispatcher.finished(outcome.job, outcome.ended - outcome.started)
        if outcomes:
            self._turn_set = True  # what they lead to need not wait for another turn of the loop
            try:
                self._on_started(self._dispatcher.take_started())
                self._report(outcomes)
            finally:
                self._turn()

    def _flush(self, link: _Link) -> None:
        assert self._loop is not None
        try:
            while link.outbox:
                with link.outbox.peek() as data:
                    count = link.connection.send(data)
                link.outbox.sent(count)
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(link.connection, self._flush, link)
            return
        except OSError:
            pass  # it has died: the fork server will say so
        self._loop.remove_writer(link.connection)

    # --- deaths ---

    def _read_deaths(self) -> None:
        assert self._server is not None and self._loop is not None
        try:
            data = self._server.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:  # nobody can start workers any more
            self._loop.remove_reader(self._server)
            self._server.close()
            self._server = None
            for link in [link for link in self._links.values() if link.lost]:
                self._bury(link)
            if not self._links:
                self._give_up()
        self._deaths += data
        while len(self._deaths) >= RECORD_BYTES:
            number, code = unpack_death(bytes(self._deaths[:RECORD_BYTES]))
            del self._deaths[:RECORD_BYTES]
            self._mourn(number, f" by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}")

    def _bury(self, link: _Link) -> None:
        """Without a fork server nobody but us ends what a dead worker's commands have left."""
        end_survivors(self._folder(link.number))
        self._mourn(link.number, "")

    def _mourn(self, number: int, how: str) -> None:
        link = self._links.get(number)
        if link is None:
            return
        self._detach(link)
        lost = self._dispatcher.drop_worker(number)
        written = self._written(number)
        for task in lost:
            known = written.get((task.job, task.attempt, task.fingerprint))
            self._unreported.append(known or _ended(task, "temporary", f"the worker that ran this job died{how}"))
        if not self._closing and self._server is not None:
            self._add_worker()
        elif not self._links:
            self._give_up()
        self._schedule_turn()

    def _folder(self, number: int) -> Path:
        return self._scratch / f"w{number}"

    def _journal(self, number: int) -> Path | None:
        return self._journals / f"{self._scratch.name}-{number}.journal" if self._journals else None

    def _written(self, number: int) -> dict[tuple[int, int, bytes], Outcome]:
        """What a dead worker had journalled and may not have sent."""
        path = self._journal(number)
        outcomes = read_journal(path) if path else ()
        return {(outcome.job, outcome.attempt, outcome.fingerprint): outcome for outcome in outcomes}

    def _give_up(self) -> None:
        lost = self._dispatcher.drop_waiting()
        self._unreported += [_ended(task, "temporary", "no worker is left") for task in lost]
        self._schedule_turn()

    def _bury_server(self) -> None:
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self._server_pid, signal.SIGCONT)  # a job may have stopped it
            os.waitpid(self._server_pid, 0)


def _hang_up(connection: socket.socket) -> None:
    """The other side sees the end at once, even if a process that was forked meanwhile still holds a copy of it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _ended(task: Task, ending: Ending, error: str) -> Outcome:
    return Outcome(job=task.job, attempt=task.attempt, ending=ending, error=error)
