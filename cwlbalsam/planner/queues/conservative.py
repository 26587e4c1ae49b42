"""Conservative backfilling: each batch job gets a reservation when it comes, and only ever an earlier one after that.

Source: Mu'alem and Feitelson, IEEE TPDS 12(6) (2001).
"""

from math import inf
from typing import Self

from cwlbalsam.planner.queues.profile import Profile
from cwlbalsam.planner.queues.requests import Request


class Conservative:
    """The state of one machine; `reserved`: when each in `queue` starts at the latest."""

    def __init__(self, nodes: int) -> None:
        self.profile = Profile(0.0, nodes)
        self.queue: list[Request] = []
        self.reserved: list[float] = []

    def copy(self) -> Self:
        other = self.__class__(0)
        other.profile = self.profile.copy()
        other.queue = self.queue.copy()
        other.reserved = self.reserved.copy()
        return other

    @property
    def free(self) -> int:
        return self.profile.free[0]

    def hold(self, request: Request, ends: float) -> None:
        """It runs already, until `ends` at the latest."""
        self.profile.take(self.profile.times[0], ends, request.nodes)

    def submit(self, now: float, request: Request) -> list[Request]:
        """Put it in line. Returns what starts because of it."""
        started = self.look(now)
        start = self.profile.earliest(request.nodes, request.wall_seconds, now)
        self.profile.take(start, start + request.wall_seconds, request.nodes)
        if start <= now:
            return [*started, request]
        self.queue.append(request)
        self.reserved.append(start)
        return started

    def withdraw(self, now: float, request: Request) -> list[Request]:
        """Take it out of the line. Returns what starts because of it."""
        started = self.look(now)
        index = self.queue.index(request)
        start = self.reserved.pop(index)
        del self.queue[index]
        self.profile.add(start, start + request.wall_seconds, request.nodes)
        self._compress(now, start, start + request.wall_seconds)
        return [*started, *self.look(now)]

    def end(self, now: float, request: Request, ends: float) -> list[Request]:
        """It has ended, though it had until `ends`. Returns what starts because of it."""
        self.profile.forget(now)
        if ends > now:
            self.profile.add(now, ends, request.nodes)
            self._compress(now, now, ends)
        return self.look(now)

    def wakes(self) -> float:
        """When the next reservation begins."""
        return min(self.reserved, default=inf)

    def look(self, now: float) -> list[Request]:
        """Let start what has its reservation now."""
        self.profile.forget(now)
        due = [index for index, start in enumerate(self.reserved) if start <= now]
        started = [self.queue[index] for index in due]
        for index in reversed(due):
            del self.queue[index], self.reserved[index]
        return started

    def _compress(self, now: float, low: float, high: float) -> None:
        """Give earlier reservations, in order of arrival, after nodes have got free between low and high.

        Only a place that overlaps what has got free can be new to a request; what it leaves gets free in turn, also
        for those before it.
        """
        while low < high:
            again_low, again_high = inf, -inf
            for index, request in enumerate(self.queue):
                start, seconds = self.reserved[index], request.wall_seconds
                after, before = max(now, low - seconds), min(start, high)
                if after < before and self._move(index, after, before):
                    low, high = min(low, start), max(high, start + seconds)
                    again_low, again_high = min(again_low, start), max(again_high, start + seconds)
            low, high = again_low, again_high

    def _move(self, index: int, after: float, before: float) -> bool:
        """Let it start in this time, if it can."""
        profile, request, start = self.profile, self.queue[index], self.reserved[index]
        end = start + request.wall_seconds
        profile.add(start, end, request.nodes)  # in its own way only if old and new place overlap
        earlier = profile.earliest(request.nodes, request.wall_seconds, after, before)
        if earlier == inf:
            profile.take(start, end, request.nodes)
            return False
        profile.take(earlier, earlier + request.wall_seconds, request.nodes)
        self.reserved[index] = earlier
        return True
