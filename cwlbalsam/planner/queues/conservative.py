"""Conservative backfilling: each batch job gets a reservation when it comes, and only ever an earlier one after that.

Source: Mu'alem and Feitelson, IEEE TPDS 12(6) (2001).
"""

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

    def submit(self, now: float, request: Request) -> list[Request]:
        """Put it in line. Returns what starts because of it."""
        started = self._due(now)
        start = self.profile.earliest(request.nodes, request.wall_seconds, now)
        self.profile.take(start, start + request.wall_seconds, request.nodes)
        if start <= now:
            return [*started, request]
        self.queue.append(request)
        self.reserved.append(start)
        return started

    def withdraw(self, now: float, request: Request) -> list[Request]:
        """Take it out of the line. Returns what starts because of it."""
        started = self._due(now)
        if request in started:
            raise ValueError(f"batch job {request.id} starts at the very moment at which it is withdrawn")
        index = self.queue.index(request)
        start = self.reserved.pop(index)
        del self.queue[index]
        self.profile.add(start, start + request.wall_seconds, request.nodes)
        self._compress(now, start, start + request.wall_seconds)
        return [*started, *self._due(now)]

    def end(self, now: float, request: Request, ends: float) -> list[Request]:
        """It has ended, though it had until `ends`. Returns what starts because of it."""
        self.profile.forget(now)
        if ends > now:
            self.profile.add(now, ends, request.nodes)
            self._compress(now, now, ends)
        return self._due(now)

    def _due(self, now: float) -> list[Request]:
        """Take out of the line what has its reservation now."""
        self.profile.forget(now)
        due = [index for index, start in enumerate(self.reserved) if start <= now]
        started = [self.queue[index] for index in due]
        for index in reversed(due):
            del self.queue[index], self.reserved[index]
        return started

    def _compress(self, now: float, low: float, high: float) -> None:
        """Give earlier reservations, in order of arrival, after nodes have got free between low and high.

        Only a place that overlaps what has got free can be new to a request; what it leaves gets free in turn.
        """
        profile = self.profile
        for index, request in enumerate(self.queue):
            start, seconds, nodes = self.reserved[index], request.wall_seconds, request.nodes
            if start <= now:
                continue
            after, before = max(now, low - seconds), min(start, high)
            if after >= before:
                continue
            # its own reservation is in the way only of a start that overlaps it
            profile.add(start, start + seconds, nodes)
            earlier = profile.earliest(nodes, seconds, after, before)
            if earlier < start:
                low, high = min(low, start), max(high, start + seconds)
                start = self.reserved[index] = earlier
            profile.take(start, start + seconds, nodes)
