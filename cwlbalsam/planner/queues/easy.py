"""EASY backfilling, fast: first come, first served, and others may overtake if they do not delay the first in line.

Source: Lifka, "The ANL/IBM SP scheduling system" (1995); Mu'alem and Feitelson, IEEE TPDS 12(6) (2001).
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import islice
from math import inf
from typing import Self

from cwlbalsam.planner.queues.requests import Request


class Easy:
    """The state of one machine. `running` is sorted by when each must have ended: (ends, serial number, request).

    Nodes are free from that moment on, whether the end was reported or not. While `_settled`, nothing that waits could
    start, whatever the time: it was tried, and waiting makes the hole before the first one's start only smaller.
    """

    def __init__(self, nodes: int) -> None:
        self.free = nodes
        self.queue: list[Request] = []
        self.running: list[tuple[float, int, Request]] = []
        self._serial = 0
        self._settled = True

    def copy(self) -> Self:
        other = self.__class__(self.free)
        other.queue = self.queue.copy()
        other.running = self.running.copy()
        other._serial = self._serial
        other._settled = self._settled
        return other

    def hold(self, request: Request, ends: float) -> None:
        """It runs already, until `ends` at the latest."""
        self._serial += 1
        self.free -= request.nodes
        insort(self.running, (ends, self._serial, request))

    def submit(self, now: float, request: Request) -> list[Request]:
        """Put it in line. Returns what starts because of it."""
        self._expire(now)
        self.queue.append(request)
        if request.nodes > self.free:
            return []
        if not self._settled or len(self.queue) == 1:
            return self._start(now)
        started = self._backfill(now, [request])
        if started:
            self.queue.pop()
        return started

    def withdraw(self, now: float, request: Request) -> list[Request]:
        """Take it out of the line. Returns what starts because of it."""
        self._expire(now)
        self.queue.remove(request)
        return self._start(now)

    def end(self, now: float, request: Request, ends: float) -> list[Request]:
        """It has ended, though it had until `ends`. Returns what starts because of it."""
        self._expire(now)
        index = bisect_left(self.running, (ends, 0))
        while index < len(self.running) and self.running[index][0] == ends:
            if self.running[index][2] is request:
                del self.running[index]
                self.free += request.nodes
                break
            index += 1
        return self._start(now)

    def wakes(self) -> float:
        """Never: whatever starts does so when something else comes or ends."""
        return inf

    def look(self, now: float) -> list[Request]:
        """Let start what can start now."""
        self._expire(now)
        return self._start(now)

    def reservation(self) -> tuple[float, int]:
        """(when the first in line can start at the latest, how many nodes are left over then)."""
        wanted, free = self.queue[0].nodes, self.free
        shadow = -inf
        for ends, _, request in self.running:
            if ends > shadow:
                if free >= wanted:
                    break
                shadow = ends
            free += request.nodes
        return (shadow, free - wanted) if free >= wanted else (inf, 0)

    def _expire(self, now: float) -> None:
        running = self.running
        while running and running[0][0] <= now:
            self.free += running.pop(0)[2].nodes
            self._settled = False

    def _start(self, now: float) -> list[Request]:
        """Everything that the rules let start now."""
        queue = self.queue
        heads = 0
        while heads < len(queue) and queue[heads].nodes <= self.free:
            self.hold(queue[heads], now + queue[heads].wall_seconds)
            heads += 1
        started = queue[:heads]
        del queue[:heads]
        if self.free and len(queue) > 1:
            overtaking = self._backfill(now, islice(queue, 1, None))
            if overtaking:
                gone = set(map(id, overtaking))
                self.queue = [request for request in queue if id(request) not in gone]
                started += overtaking
        self._settled = True
        return started

    def _backfill(self, now: float, candidates: Iterable[Request]) -> list[Request]:
        shadow, extra = self.reservation()
        seconds, free = shadow - now, self.free
        extra = min(extra, free)
        started = []
        for request in candidates:
            nodes = request.nodes
            if nodes > free:
                continue
            if request.wall_seconds > seconds:
                if nodes > extra:
                    continue
                extra -= nodes
            free -= nodes
            extra = min(extra, free)
            started.append(request)
            if not free:
                break
        for request in started:
            self.hold(request, now + request.wall_seconds)
        return started
