"""When would a job that arrives now start, if all jobs took the time they asked for: what schedulers answer."""

import heapq
from collections.abc import Sequence

Running = tuple[float, int]
"""(seconds until it must have ended, nodes)"""
Waiting = tuple[int, float]
"""(nodes, requested seconds)"""


def easy_start(nodes: int, running: Sequence[Running], queue: Sequence[Waiting]) -> float:
    """Seconds until the last job of the queue starts under EASY backfilling: first come first served, where a job may
    overtake if that does not delay the first in the queue. Source: Lifka, JSSPP 1995.
    """
    ends = list(running)
    heapq.heapify(ends)
    free = nodes - sum(size for _, size in ends)
    waiting = list(queue)
    now = 0.0
    while True:
        while waiting and (waiting[0][0] <= free or not ends):
            size, wanted = waiting.pop(0)
            if not waiting:
                return now
            heapq.heappush(ends, (now + wanted, size))
            free -= size
        shadow, extra = _reservation(waiting[0][0], free, ends)
        kept = [waiting[0]]
        last = len(waiting) - 1
        for index in range(1, len(waiting)):
            size, wanted = job = waiting[index]
            if size <= free and (now + wanted <= shadow or size <= extra):
                if index == last:
                    return now
                free -= size
                if now + wanted > shadow:
                    extra -= size
                heapq.heappush(ends, (now + wanted, size))
            else:
                kept.append(job)
        waiting = kept
        now = max(now, ends[0][0])
        while ends and ends[0][0] <= now:
            free += heapq.heappop(ends)[1]


def _reservation(size: int, free: int, ends: Sequence[Running]) -> tuple[float, int]:
    """When the first of the queue can start at the latest, and how many nodes it leaves then."""
    for end, given in sorted(ends):
        free += given
        if free >= size:
            return end, free - size
    return float("inf"), 0


def conservative_start(nodes: int, running: Sequence[Running], queue: Sequence[Waiting]) -> float:
    """The same where nobody may delay anybody: every job has a reservation (`squeue --start`, Maui, Slurm's backfill).

    Source: Mu'alem and Feitelson, IEEE TPDS 12 (2001).
    """
    times, free = [0.0], [nodes - sum(size for _, size in running)]
    for end, size in sorted(running):
        if end <= times[-1]:
            free[-1] += size
        else:
            times.append(end)
            free.append(free[-1] + size)
    start = 0.0
    for size, wanted in queue:
        first = _earliest(times, free, min(size, max(free)), wanted)
        start = times[first]
        _reserve(times, free, first, start + wanted, size)
    return start


def _earliest(times: list[float], free: list[int], size: int, wanted: float) -> int:
    count = len(times)
    first = 0
    while True:
        while first < count - 1 and free[first] < size:
            first += 1
        until = times[first] + wanted
        index = first + 1
        while index < count and times[index] < until:
            if free[index] < size:
                break
            index += 1
        else:
            return first
        first = index


def _reserve(times: list[float], free: list[int], first: int, end: float, size: int) -> None:
    index = first
    while index < len(times) and times[index] < end:
        free[index] -= size
        index += 1
    if index == len(times) or times[index] > end:
        times.insert(index, end)
        free.insert(index, free[index - 1] + size)
