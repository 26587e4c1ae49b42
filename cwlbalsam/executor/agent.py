"""The agent of a site: it takes tasks from runs, and has them run by the workers of its pilots.

One process for each site and user. Runs come by a socket of the file system, launchers by their wires. Every change of
mind happens in `_turn`: all that came within one turn of the loop is dealt with together.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import ANY_PILOT, PilotKind, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.capacity import Capacity
from cwlbalsam.executor.dispatch import Dispatcher, Waiting
from cwlbalsam.executor.frames import Inbox
from cwlbalsam.executor.messages import (
    EndWorker,
    FromWorker,
    Leave,
    Leaving,
    NodeDown,
    NodeUp,
    Notice,
    Opened,
    OpenRun,
    StartWorker,
    ToWorker,
    WorkerDied,
    pack_message,
    to_agent,
    to_site,
)
from cwlbalsam.executor.placement import Node
from cwlbalsam.executor.served import Guests, Rules, Served, refusal
from cwlbalsam.executor.wires.base import Outlet, Wire
from cwlbalsam.planner.start_order import Order, widest_first

MAX_WORKERS = 16
TASKS_PER_WORKER = 8
"""A node gets another worker for a run when so many tasks wait for each that there is."""
READ_BYTES = 1 << 18


class Session(Struct, eq=False):
    """A pilot whose launcher may be there. nodes: that are up, by their numbers."""

    id: str
    wire: Wire
    nodes: dict[int, "PilotNode"] = msgspec.field(default_factory=dict)
    pilot: PilotKind = ANY_PILOT
    leaving: bool = False
    idle_since: float = 0.0

    def idle_seconds(self) -> float:
        """How long nothing has run there; 0.0 before a node is up."""
        now = time.monotonic()
        if not self.nodes or any(not place.capacity.is_idle for place in self.nodes.values()):
            self.idle_since = now
        return now - self.idle_since


class PilotNode(Struct, eq=False):
    """A node of a session, and the workers there by run."""

    session: Session
    number: int
    name: str
    capacity: Capacity
    ends: float  # monotonic
    workers: dict[int, list[int]] = msgspec.field(default_factory=dict)


class Member(Struct, eq=False):
    """A worker: the way to it, and where it belongs."""

    number: int
    run: int
    place: PilotNode

    def send(self, frame: bytes) -> None:
        self.place.session.wire.send(pack_message(ToWorker(self.place.number, self.number, frame)))


class Agent:
    """rules: what holds for all runs; `changed` is called when sessions have come or gone, too."""

    def __init__(self, rules: Rules, *, guests: Guests | None = None, order: Order = widest_first) -> None:
        self.sessions: dict[str, Session] = {}
        self.runs: dict[int, Served] = {}
        self.clients = 0
        self._rules = rules
        self._changed = rules.changed
        self._guests = guests
        self._order = order
        self._members: dict[int, Member] = {}
        self._incarnation = uuid4().hex[:12]  # names of journals are used once
        self._numbers = 0
        self._turn_set = False

    # --- what pilots are decided by ---

    def waiting(self) -> Iterable[Waiting]:
        """How many tasks no worker has, by what they ask for."""
        return (alike for run in self.runs.values() for alike in run.dispatcher.waiting_alike())

    @property
    def is_busy(self) -> bool:
        return any(len(run.crew) for run in self.runs.values())

    def notify(self, text: str) -> None:
        """Tell all runs that have something to do."""
        for run in self.runs.values():
            if not run.closed and len(run.crew):
                run.tell(Notice(text))

    def fail_waiting(self, message: str, matches: Callable[[Task], bool] = lambda _: True) -> None:
        """Answer the tasks that will never get a node: all, or those that match."""
        for run in self.runs.values():
            wanted = [task.job for task in run.dispatcher.waiting() if matches(task)]
            run.crew.drop(wanted, message)
        self.schedule()

    # --- launchers ---

    def add_session(self, session: str, wire: Wire, pilot: PilotKind = ANY_PILOT) -> None:
        self.sessions[session] = Session(session, wire, pilot=pilot, idle_since=time.monotonic())

    def hear(self, name: str, body: bytes) -> None:
        """What the launcher of a session says."""
        session = self.sessions.get(name)
        if session is None:
            return
        match to_agent.decode(body):
            case FromWorker(worker, said):
                member = self._members.get(worker)
                if member is not None and (run := self.runs.get(member.run)) is not None:
                    run.hand_on(said)
            case NodeUp(number, host, machine, seconds):
                ends = time.monotonic() + seconds
                session.nodes[number] = PilotNode(session, number, host, Capacity(machine), ends)
                self._changed()
            case WorkerDied(worker, how):
                self._lose(worker, how)
            case NodeDown(number, why):
                self._lose_node(session, number, f" with its node: {why}")
            case Leaving():
                session.leaving = True
                self._close(session)
                self._changed()
        self.schedule()

    def dismiss(self, name: str) -> None:
        """Have a launcher leave; it ends what it still runs."""
        session = self.sessions[name]
        session.leaving = True
        self._close(session)
        session.wire.send(pack_message(Leave()))

    def lose_session(self, name: str, why: str) -> None:
        """Nothing that ran there lives any more."""
        session = self.sessions.pop(name, None)
        if session is not None:
            for number in list(session.nodes):
                self._lose_node(session, number, f" with its pilot: {why}")
            self._changed()
            self.schedule()

    def _close(self, session: Session) -> None:
        """Nothing new goes there."""
        for place in session.nodes.values():
            for run in self.runs.values():
                if id(place) in run.nodes:
                    run.nodes[id(place)].closed = True

    def _lose_node(self, session: Session, number: int, why: str) -> None:
        place = session.nodes.pop(number, None)
        if place is None:
            return
        for worker in [each for workers in place.workers.values() for each in workers]:
            self._lose(worker, why)
        for run in self.runs.values():
            run.nodes.pop(id(place), None)
        self._changed()

    def _lose(self, worker: int, how: str) -> None:
        member = self._members.pop(worker, None)
        if member is None:
            return
        member.place.workers[member.run].remove(worker)
        run = self.runs.get(member.run)
        if run is None:
            return
        run.workers.discard(worker)
        run.crew.lost(worker, how, run.written(self._name(worker)))
        if run.closed and not run.workers:
            self._forget(run)

    # --- workers ---

    def schedule(self) -> None:
        if not self._turn_set:
            self._turn_set = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_set = False
        for run in list(self.runs.values()):
            if not run.closed:
                self._staff(run)
            run.crew.turn()
        for session in self.sessions.values():
            session.idle_seconds()

    def _staff(self, run: Served) -> None:
        """Start workers where there is work for them."""
        waiting = run.dispatcher.count_waiting()
        if not waiting:
            return
        places = [
            place for session in self.sessions.values() if not session.leaving for place in session.nodes.values()
        ]
        for place in places:
            there = len(place.workers.get(run.number, ()))
            most = min(MAX_WORKERS, max(1, math.ceil(place.capacity.machine.cores)))
            wanted = min(most, 1 + waiting // (len(places) * TASKS_PER_WORKER))
            for _ in range(there, wanted):
                self._start_worker(run, place)

    def _start_worker(self, run: Served, place: PilotNode) -> None:
        self._numbers += 1
        number = self._numbers
        member = self._members[number] = Member(number, run.number, place)
        place.workers.setdefault(run.number, []).append(number)
        run.workers.add(number)
        node = run.nodes.get(id(place))
        if node is None:
            session = place.session
            node = Node(place.capacity, place.name, session.id, place.ends, session.wire.ahead_seconds)
            node.pilot = session.pilot
            run.nodes[id(place)] = node
        journal = run.journal(self._name(number))
        place.session.wire.send(pack_message(StartWorker(place.number, number, run.opened.settings, journal)))
        run.crew.join(number, member, node)

    def _name(self, worker: int) -> str:
        return f"{self._incarnation}-{worker}"

    # --- runs ---

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A run, from its call to its end."""
        inbox = Inbox()
        run: Served | None = None
        self.clients += 1
        with contextlib.suppress(OSError, msgspec.DecodeError):
            while data := await reader.read(READ_BYTES):
                for body in inbox.feed(data):
                    message = to_site.decode(body)
                    if isinstance(message, OpenRun):
                        run = await self._open(message, writer)
                        if run is None:
                            break
                    elif run is not None:
                        run.obey(message)
                        self.schedule()
        if run is not None:
            self._close_run(run)
        writer.close()
        self.clients -= 1
        self._changed()

    async def _open(self, message: OpenRun, writer: asyncio.StreamWriter) -> Served | None:
        while any(run.opened.run == message.run for run in self.runs.values()):
            await asyncio.sleep(0.02)  # its former part is still ending
        outlet = Outlet(writer)
        opened = Opened()
        if not message.directory and self._guests is not None:
            try:
                message, opened = self._guests.welcome(message)
            except UserError as error:
                outlet.write(refusal(error))
                outlet.flush()
                return None
        self._numbers += 1
        run = Served(self._numbers, message, outlet, Dispatcher(self._order), self._rules)
        self.runs[run.number] = run
        run.tell(opened)
        return run

    def _close_run(self, run: Served) -> None:
        """The run is gone: what it still runs is ended."""
        run.closed = True
        run.crew.cancel_all()
        for worker in list(run.workers):
            place = self._members[worker].place
            place.session.wire.send(pack_message(EndWorker(place.number, worker)))
        if not run.workers:
            self._forget(run)
        self._changed()

    def _forget(self, run: Served) -> None:
        if self.runs.pop(run.number, None) is not None and run.is_done and self._guests is not None:
            self._guests.clean_up(run.opened)
