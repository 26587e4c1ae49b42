"""Intervals of time, put into rows and merged until they can be drawn: 100,000 jobs are more than a screen has dots."""

import heapq
from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct


class Bar(Struct):
    """One or more jobs of one lane that touch each other at the width that is drawn."""

    start: float
    end: float
    jobs: int
    bad: int
    first: int  # index of its first job


def lanes(starts: Sequence[float], ends: Sequence[float], most: int) -> list[list[int]] | None:
    """Indices of intervals, so that those of a lane do not overlap; None if that takes more than `most` lanes."""
    order = sorted(range(len(starts)), key=lambda index: (starts[index], ends[index]))
    found: list[list[int]] = []
    free: list[tuple[float, int]] = []  # end of the last interval, lane
    for index in order:
        if free and free[0][0] <= starts[index]:
            lane = heapq.heapreplace(free, (ends[index], free[0][1]))[1]
        elif len(found) < most:
            lane = len(found)
            found.append([])
            heapq.heappush(free, (ends[index], lane))
        else:
            return None
        found[lane].append(index)
    return found


def bars(lane: Sequence[int], starts: Sequence[float], ends: Sequence[float], bad: set[int], gap: float) -> list[Bar]:
    """Neighbours that are shorter than `gap`, with less than `gap` between them, become one; failures stay apart."""
    found: list[Bar] = []
    for index in lane:
        start, end = starts[index], ends[index]
        last = found[-1] if found else None
        short = last is not None and (end - start < gap or last.end - last.start < gap or last.jobs > 1)
        if last is not None and short and start - last.end < gap and bool(last.bad) == (index in bad):
            last.end = max(last.end, end)
            last.jobs += 1
            last.bad += index in bad
        else:
            found.append(Bar(start, end, 1, int(index in bad), index))
    return found


def concurrency(starts: Sequence[float], ends: Sequence[float], span: float, bins: int) -> list[float]:
    """Mean number of intervals that were open in each of `bins` equal parts of the time from 0 to span."""
    width = span / bins
    found = [0.0] * (bins + 1)  # what begins in a bin and goes on
    part = [0.0] * bins
    for start, end in zip(starts, ends, strict=True):
        first = min(int(start / width), bins - 1)
        last = min(int(end / width), bins - 1)
        if first == last:
            part[first] += (end - start) / width
            continue
        part[first] += (first + 1) - start / width
        part[last] += min(end / width - last, 1.0)
        found[first + 1] += 1
        found[last] -= 1
    running = 0.0
    result = []
    for index in range(bins):
        running += found[index]
        result.append(running + part[index])
    return result


def ticks(span: float, most: int = 10) -> list[float]:
    """Round times from 0 to span."""
    steps = [a * 10.0**b for b in range(-3, 1) for a in (1, 2, 5)]
    steps += [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]
    steps += [86_400 * days for days in (2, 5, 7, 14, 30, 90, 365, 3650)]
    step = steps[min(bisect_left(steps, span / most), len(steps) - 1)]
    return [step * index for index in range(min(int(span / step), 4 * most) + 1)]
