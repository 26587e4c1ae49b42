"""Free nodes over time, and what fits into them."""

from bisect import bisect_right
from collections.abc import Iterator
from math import inf
from typing import Self


class Profile:
    """A step function: `free[i]` nodes from `times[i]` until `times[i + 1]`, the last for ever.

    Neighbours differ, so that equal functions look alike and adding what was taken leaves no trace. Before the first
    time nothing is known. Nodes may be negative where more were taken than there are.
    """

    __slots__ = ("free", "times")

    def __init__(self, time: float, free: int) -> None:
        self.times = [time]
        self.free = [free]

    def copy(self) -> Self:
        other = self.__class__(0.0, 0)
        other.times = self.times.copy()
        other.free = self.free.copy()
        return other

    def steps(self) -> Iterator[tuple[float, float, int]]:
        """(start, end, free) of each step."""
        yield from zip(self.times, [*self.times[1:], inf], self.free, strict=True)

    def free_at(self, time: float) -> int:
        return self.free[max(bisect_right(self.times, time) - 1, 0)]

    def least(self, start: float, end: float) -> int:
        """The fewest free nodes at any moment from start until before end."""
        first = max(bisect_right(self.times, start) - 1, 0)
        least = self.free[first]
        for index in range(first + 1, len(self.times)):
            if self.times[index] >= end:
                break
            least = min(least, self.free[index])
        return least

    def add(self, start: float, end: float, nodes: int) -> None:
        """So many more are free from start until end; fewer if nodes is negative."""
        start = max(start, self.times[0])
        if end <= start or not nodes:
            return
        first = self._cut(start)
        last = len(self.times) if end == inf else self._cut(end)
        free = self.free
        for index in range(first, last):
            free[index] += nodes
        self._join(last)
        self._join(first)

    def take(self, start: float, end: float, nodes: int) -> None:
        self.add(start, end, -nodes)

    def earliest(self, nodes: int, seconds: float, after: float, before: float = inf) -> float:
        """The first moment from `after` on at which so many nodes are free for so long; infinite if it is not < before."""
        times, free = self.times, self.free
        size = len(times)
        index = max(bisect_right(times, after) - 1, 0)
        start = max(after, times[0])
        while start < before:
            if free[index] >= nodes:
                end = start + seconds
                while True:
                    index += 1
                    if index == size or times[index] >= end:
                        return start
                    if free[index] < nodes:
                        break
            index += 1
            if index >= size:
                return inf
            start = times[index]
        return inf

    def forget(self, time: float) -> None:
        """Drop what was before `time`."""
        index = bisect_right(self.times, time) - 1
        if index > 0:
            del self.times[:index], self.free[:index]
        if index >= 0:
            self.times[0] = time

    def _cut(self, time: float) -> int:
        """The index of the step that starts at `time`, made if there is none."""
        index = bisect_right(self.times, time)
        if self.times[index - 1] == time:
            return index - 1
        self.times.insert(index, time)
        self.free.insert(index, self.free[index - 1])
        return index

    def _join(self, index: int) -> None:
        """Let a step and the one before be one if they are alike."""
        if 0 < index < len(self.times) and self.free[index - 1] == self.free[index]:
            del self.times[index], self.free[index]
