"""Pools of several bins: jobs that take some cores of some nodes, beside others that take other numbers."""

from bisect import bisect_right
from collections.abc import Sequence

from cwlbalsam.planner.profile import Profile


def earliest_in(bins: Sequence[Profile], ready: float, seconds: float, units: int, count: int) -> float:
    """The first time when `count` bins have the units free for so long; infinity if there is none."""
    if count == 1:
        best = float("inf")
        for one in bins:
            start = one.earliest(ready, seconds, units)
            if start <= ready:
                return start
            best = min(best, start)
        return best
    while True:
        starts = sorted(one.earliest(ready, seconds, units) for one in bins)
        if count > len(starts) or starts[count - 1] == float("inf"):
            return float("inf")
        if starts[count - 1] <= ready:
            return ready
        ready = starts[count - 1]


def take_in(bins: Sequence[Profile], start: float, seconds: float, units: int, count: int) -> None:
    """Occupy what `earliest_in` has found."""
    for one in bins:
        if count and one.earliest(start, seconds, units) <= start:
            one.take(start, start + seconds, units)
            count -= 1


def append_in(bins: Sequence[list[float]], ready: float, units: int, count: int) -> tuple[float, list[int]]:
    """When a job could start behind all others, and in which bins. bins: of each unit, when it is free, sorted."""
    if not units:
        return ready, []
    start = sorted(one[units - 1] if len(one) >= units else float("inf") for one in bins)[count - 1]
    start = max(start, ready)
    fit = [number for number, one in enumerate(bins) if one[units - 1] <= start]
    if len(fit) > count:  # those whose units have been free for the shortest time: they leave the fewest holes
        fit.sort(key=lambda number: -bins[number][bisect_right(bins[number], start) - 1])
    return start, fit[:count]
