"""A batch machine that lives through time, event by event."""

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from math import inf
from typing import Protocol, Self

from msgspec import Struct

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue
from cwlbalsam.planner.queues.conservative import Conservative
from cwlbalsam.planner.queues.easy import Easy
from cwlbalsam.planner.queues.requests import Request


class Rules(Protocol):
    """Who starts when. Each call says what happened now and returns what starts because of it, in that order."""

    queue: list[Request]

    @property
    def free(self) -> int: ...
    def copy(self) -> Self: ...
    def hold(self, request: Request, ends: float) -> None: ...
    def submit(self, now: float, request: Request) -> list[Request]: ...
    def withdraw(self, now: float, request: Request) -> list[Request]: ...
    def end(self, now: float, request: Request, ends: float) -> list[Request]: ...
    def wakes(self) -> float: ...
    def look(self, now: float) -> list[Request]: ...


RULES: dict[str, type[Easy] | type[Conservative]] = {"easy": Easy, "conservative": Conservative}


class Change(Enum):
    STARTED = "started"
    ENDED = "ended"


class Event(Struct, frozen=True, gc=False):
    time: float
    change: Change
    request: Request


class Machine:
    """Others' batch jobs come from a recorded load, `arrivals`, sorted by time; ours are submitted in between.

    At one moment arrivals come before ends, each is handled by itself, and what has used up its wall time leaves its
    nodes before anything else happens: the order in which pyss, the usual simulator of this kind, does it.
    """

    def __init__(
        self,
        nodes: int,
        policy: str,
        arrivals: Sequence[Request] = (),
        queue: Queue | None = None,
        time: float = -inf,
    ) -> None:
        self.nodes = nodes
        self.now = time
        self.queue = queue or Queue(name="batch", nodes=nodes, default=True)
        self.rules: Rules = RULES[policy](nodes)
        self.starts: dict[str, float] = {}
        self.running: dict[str, tuple[float, float, Request]] = {}  # started, ends at the latest
        self._arrivals = arrivals
        self._next = 0
        self._ends: list[tuple[float, int, Request]] = []
        self._serial = 0
        self._events: list[Event] = []

    def fork(self) -> Self:
        """The same machine, to go on by itself; it remembers no starts from before."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        other.rules = self.rules.copy()
        other.starts = {}
        other.running = self.running.copy()
        other._ends = self._ends.copy()
        other._events = []
        return other

    def hold(self, request: Request, started: float, ends: float) -> None:
        """It has run since before this machine's life began, and has its nodes until `ends` at the latest."""
        self.rules.hold(request, ends)
        self._run(request, started, ends)

    def next_time(self) -> float:
        """When something happens next; infinite if nothing does."""
        ends = self._ends[0][0] if self._ends else inf
        arrives = self._arrivals[self._next].submitted if self._next < len(self._arrivals) else inf
        return min(ends, arrives, self.rules.wakes())

    def coming(self, seconds: float) -> Sequence[Request]:
        """Others' batch jobs that arrive within so long from now."""
        arrivals = self._arrivals
        last = bisect_right(arrivals, self.now + seconds, lo=self._next, key=lambda request: request.submitted)
        return arrivals[self._next : last]

    def advance(self, until: float) -> list[Event]:
        """Live until that moment, included. Returns all that has happened since the last call."""
        while (moment := self.next_time()) <= until and moment < inf:
            self.now = moment
            arrival = self._arrivals[self._next] if self._next < len(self._arrivals) else None
            if arrival is not None and arrival.submitted <= moment:
                self._next += 1
                self._started(self.rules.submit(moment, arrival))
            elif self._ends and self._ends[0][0] <= moment:
                self._end(heapq.heappop(self._ends)[2])
            else:
                self._started(self.rules.look(moment))
        if until < inf:
            self.now = max(self.now, until)
        events, self._events = self._events, []
        return events

    def submit(self, request: Request) -> None:
        """Raises ValueError for one that can never run here."""
        if not 0 < request.nodes <= self.nodes:
            raise ValueError(f"batch job {request.id} asks for {request.nodes} nodes, the machine has {self.nodes}")
        self._started(self.rules.submit(self.now, request))

    def cancel(self, request: Request) -> None:
        """Take it out of the queue, or end it if it runs; nothing if it has ended."""
        if request.id in self.running:
            self._end(request)
        elif request in self.rules.queue:
            self._started(self.rules.withdraw(self.now, request))

    def state(self) -> MachineState:
        """What the scheduler would tell."""
        name = self.queue.name
        running = (
            BatchJob(
                id=request.id,
                state=BatchState.RUNNING,
                nodes=request.nodes,
                wall_seconds=request.wall_seconds,
                queue=name,
                submitted=request.submitted,
                started=started,
                ends=ends,
            )
            for started, ends, request in self.running.values()
        )
        waiting = (
            BatchJob(
                id=request.id,
                state=BatchState.QUEUED,
                nodes=request.nodes,
                wall_seconds=request.wall_seconds,
                queue=name,
                submitted=request.submitted,
                priority=-place,
            )
            for place, request in enumerate(self.rules.queue)
        )
        busy = sum(request.nodes for _, _, request in self.running.values())
        return MachineState(
            time=self.now,
            nodes=self.nodes,
            free=self.nodes - busy,
            queues=(self.queue,),
            jobs=(*running, *waiting),
        )

    def _started(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self.starts[request.id] = self.now
            self._run(request, self.now, self.now + request.wall_seconds)
            self._events.append(Event(self.now, Change.STARTED, request))

    def _run(self, request: Request, started: float, ends: float) -> None:
        self._serial += 1
        self.running[request.id] = started, ends, request
        heapq.heappush(self._ends, (min(started + request.seconds, ends), self._serial, request))

    def _end(self, request: Request) -> None:
        entry = self.running.get(request.id)
        if entry is None or entry[2] is not request:  # it was ended before its time
            return
        del self.running[request.id]
        self._events.append(Event(self.now, Change.ENDED, request))
        self._started(self.rules.end(self.now, request, entry[1]))
