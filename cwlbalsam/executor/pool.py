"""The coordinator's side of the workers on its own machine: they are forked here, and buried here.

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
from msgspec.structs import replace

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import ANY_PILOT, Outcome, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.capacity import Capacity
from cwlbalsam.executor.crew import Crew, Written, by_task
from cwlbalsam.executor.dispatch import Dispatcher
from cwlbalsam.executor.forkserver import RECORD_BYTES, fork_server, request_worker, unpack_death
from cwlbalsam.executor.frames import Inbox, Outbox, unpack_outcomes
from cwlbalsam.executor.journal import read_journal
from cwlbalsam.executor.placement import Node, of_ranks, ranks_on
from cwlbalsam.executor.recovery import end_survivors
from cwlbalsam.executor.workbench import CLEAN_UP_SECONDS, GRACE_SECONDS, Preparing
from cwlbalsam.executor.worker import work

if TYPE_CHECKING:
    import asyncio


HERE = "localhost"
SCRATCH_PREFIX = "cwlbalsam-"


class _Connection(Struct, eq=False):
    """To one worker."""

    number: int
    socket: socket.socket
    lost: bool = False
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    outbox: Outbox = msgspec.field(default_factory=Outbox)

    def send(self, frame: bytes) -> None:
        self.outbox.add(frame)


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
        self._node = Node(capacity)
        self._crew = Crew(Dispatcher(), programs, self._tell_outcomes, self._tell_started)
        self._scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=scratch))
        self.keep_scratch = False
        self._journals = journals
        self._prepare = prepare
        self._connections: dict[int, _Connection] = {}
        self._numbers = 0
        self._server: socket.socket | None = None
        self._server_pid = 0
        self._deaths = bytearray()
        self._on_outcomes: Callable[[list[Outcome]], None] = lambda _: None
        self._on_started: Callable[[list[int]], None] = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn_set = False
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
        for connection in self._connections.values():
            self._attach(connection)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Have them run, each answered by one outcome. What cannot ever run here is answered `failed`."""
        fitting = []
        for task in tasks:
            try:
                task = self._on_one_machine(task)
                if self._node.capacity is not None and task.mode == "run":
                    self._node.capacity.check(task.grant)
                fitting.append(task)
            except JobError as error:
                self._crew.refuse(task, str(error))
        self._crew.submit(fitting)
        self._schedule_turn()

    def _on_one_machine(self, task: Task) -> Task:
        """A job that could have several nodes elsewhere: its own launch command spreads it over this machine."""
        grant, capacity = task.grant, self._node.capacity
        if grant.pilot != ANY_PILOT:
            task = replace(task, grant=(grant := replace(grant, pilot=ANY_PILOT)))
        if not grant.is_wide or capacity is None:
            return task
        if task.program != COMMANDS.digest:  # a document may ask for more ranks than there are cores
            return replace(task, grant=replace(grant, ranks=0, nodes=0))
        if grant.nodes > 1:
            raise JobError(f"the job asks for {grant.nodes} nodes, and this is one machine")
        ranks = grant.ranks or ranks_on(capacity, grant)
        narrow = of_ranks(grant, ranks)
        if grant.nodes:
            narrow = replace(narrow, cores=max(capacity.machine.cores, narrow.cores))
        return replace(task, grant=narrow, hosts=((HERE, ranks),))

    def cancel(self, jobs: Sequence[int], *, unstarted: bool = False) -> None:
        """SIGTERM, SIGKILL some seconds later; answered `cancelled` unless the outcome is on its way already.

        unstarted: let those run whose command runs.
        """
        self._crew.cancel(jobs, unstarted=unstarted)
        self._schedule_turn()

    async def close(self, kill: bool = False) -> None:
        """Wait for what was submitted (kill: cancel it first), end the workers, remove the temporary folders."""
        import asyncio

        if kill:
            self._crew.cancel_all()
            self._schedule_turn()
        if self._idle is not None and len(self._crew):
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), 2 * GRACE_SECONDS + CLEAN_UP_SECONDS if kill else None)
        self._closing = True
        for connection in list(self._connections.values()):
            self._detach(connection)
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
        for connection in list(self._connections.values()):
            self._detach(connection)
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
        self._crew.turn()
        for connection in self._connections.values():
            self._flush(connection)
        self._tell_idle()

    def _tell_outcomes(self, outcomes: list[Outcome]) -> None:
        self._on_outcomes(outcomes)

    def _tell_started(self, jobs: list[int]) -> None:
        self._on_started(jobs)

    def _tell_idle(self) -> None:
        if self._idle is not None and not len(self._crew):
            self._idle.set()

    # --- connections ---

    def _add_worker(self) -> None:
        assert self._server is not None
        self._numbers += 1
        connection = _Connection(self._numbers, request_worker(self._server, self._numbers))
        connection.socket.setblocking(False)
        self._connections[connection.number] = connection
        self._crew.join(connection.number, connection, self._node)
        if self._loop is not None:
            self._attach(connection)

    def _attach(self, connection: _Connection) -> None:
        assert self._loop is not None
        self._loop.add_reader(connection.socket, self._read, connection)
        self._schedule_turn()

    def _detach(self, connection: _Connection) -> None:
        """Close the connection; a worker that sees this ends what it still runs, and itself."""
        self._connections.pop(connection.number, None)
        if self._loop is not None:
            self._loop.remove_reader(connection.socket)
            self._loop.remove_writer(connection.socket)
        _hang_up(connection.socket)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            assert self._loop is not None
            self._loop.remove_reader(connection.socket)  # the fork server will say that it has died
            connection.lost = True
            if self._server is None:
                self._bury(connection)
            return
        outcomes = [outcome for body in connection.inbox.feed(data) for outcome in unpack_outcomes(body)]
        if outcomes:
            self._turn_set = True  # what they lead to need not wait for another turn of the loop
            try:
                self._crew.heard(outcomes)
            finally:
                self._turn()

    def _flush(self, connection: _Connection) -> None:
        assert self._loop is not None
        try:
            while connection.outbox:
                with connection.outbox.peek() as data:
                    count = connection.socket.send(data)
                connection.outbox.sent(count)
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(connection.socket, self._flush, connection)
            return
        except OSError:
            pass  # it has died: the fork server will say so
        self._loop.remove_writer(connection.socket)

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
            for connection in [each for each in self._connections.values() if each.lost]:
                self._bury(connection)
            if not self._connections:
                self._give_up()
        self._deaths += data
        while len(self._deaths) >= RECORD_BYTES:
            number, code = unpack_death(bytes(self._deaths[:RECORD_BYTES]))
            del self._deaths[:RECORD_BYTES]
            self._mourn(number, how_it_died(code))

    def _bury(self, connection: _Connection) -> None:
        """Without a fork server nobody but us ends what a dead worker's commands have left."""
        end_survivors(self._folder(connection.number))
        self._mourn(connection.number, "")

    def _mourn(self, number: int, how: str) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        self._detach(connection)
        self._crew.lost(number, how, self._written(number))
        if not self._closing and self._server is not None:
            self._add_worker()
        elif not self._connections:
            self._give_up()
        self._schedule_turn()

    def _folder(self, number: int) -> Path:
        return self._scratch / f"w{number}"

    def _journal(self, number: int) -> Path | None:
        return self._journals / f"{self._scratch.name}-{number}.journal" if self._journals else None

    def _written(self, number: int) -> Written:
        """What a dead worker had journalled and may not have sent."""
        path = self._journal(number)
        return by_task(list(read_journal(path)) if path else [])

    def _give_up(self) -> None:
        self._crew.give_up()
        self._schedule_turn()

    def _bury_server(self) -> None:
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self._server_pid, signal.SIGCONT)  # a job may have stopped it
            os.waitpid(self._server_pid, 0)


def how_it_died(code: int) -> str:
    return f" by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"


def _hang_up(connection: socket.socket) -> None:
    """The other side sees the end at once, even if a process that was forked meanwhile still holds a copy of it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
