"""Free capacity over time, with the earliest hole that is long and wide enough."""

import math
from bisect import bisect_right


class Profile:
    """A step function of free units. Neighbouring steps of one height are one, so a full stretch costs nothing.

    Between two calls it only gets fuller, which `earliest` relies on for its hints.
    """

    __slots__ = ("_hints", "free", "times")

    def __init__(self, capacity: int, opens: float = 0.0, closes: float = math.inf) -> None:
        self.times = [-math.inf, opens]
        self.free = [0, capacity]
        if closes < math.inf:
            self.times.append(closes)
            self.free.append(0)
        self._hints: dict[int, tuple[float, float]] = {}

    def earliest(self, ready: float, seconds: float, units: int, key: int = -1) -> float:
        """The first time from `ready` on when so many units are free for so long; infinity if there is none.

        key: queries with one key (>= 0) always ask for the same seconds and units.
        """
        times, free = self.times, self.free
        start = ready
        if key >= 0:
            hint = self._hints.get(key)
            if hint is not None and hint[0] <= ready and hint[1] > ready:
                start = hint[1]
        size = len(times)
        index = bisect_right(times, start) - 1
        while index < size:
            if free[index] < units:
                index += 1
                if index == size:
                    return math.inf
                start = times[index]
                continue
            end = start + seconds
            index += 1
            while index < size and times[index] < end:
                if free[index] < units:
                    break
                index += 1
            else:
                if key >= 0:
                    self._hints[key] = ready, start
                return start
        return math.inf

    def take(self, start: float, end: float, units: int) -> None:
        """Occupy units that `earliest` has found free."""
        if end <= start:
            return
        times, free = self.times, self.free
        first = bisect_right(times, start) - 1
        if times[first] < start:
            first += 1
            times.insert(first, start)
            free.insert(first, free[first - 1])
        last = first
        size = len(times)
        while last < size and times[last] < end:
            last += 1
        if last == size or times[last] > end:
            times.insert(last, end)
            free.insert(last, free[last - 1])
        for index in range(first, last):
            free[index] -= units
        if free[last] == free[last - 1]:
            del times[last], free[last]
        if free[first] == free[first - 1]:
            del times[first], free[first]
