"""Schedulers of the literature, for one task at a time on each of several unlike hosts. Re-implemented from the papers.

All look for the first hole that is long enough (insertion), as the published HEFT does.
"""

import math
from bisect import insort
from collections.abc import Callable, Sequence

from msgspec import Struct


class Case(Struct, frozen=True):
    """seconds: of each task on each host. parents: (task, bytes). byte_seconds: from a host to another."""

    seconds: Sequence[Sequence[float]]
    parents: Sequence[Sequence[tuple[int, float]]]
    byte_seconds: Sequence[Sequence[float]]

    @property
    def hosts(self) -> range:
        return range(len(self.byte_seconds))


class Schedule:
    """Tasks placed so far: host, start, end of each."""

    def __init__(self, case: Case) -> None:
        tasks = len(case.seconds)
        self.case = case
        self.host, self.start, self.end = [-1] * tasks, [0.0] * tasks, [0.0] * tasks
        self.order: list[int] = []
        self._busy: list[list[tuple[float, float]]] = [[] for _ in case.hosts]

    def try_on(self, task: int, host: int) -> tuple[float, float]:
        """When a task would start and end there."""
        ready = 0.0
        for parent, size in self.case.parents[task]:
            ready = max(ready, self.end[parent] + size * self.case.byte_seconds[self.host[parent]][host])
        seconds = self.case.seconds[task][host]
        for begin, end in self._busy[host]:
            if ready + seconds <= begin:
                break
            ready = max(ready, end)
        return ready, ready + seconds

    def place(self, task: int, host: int) -> None:
        self.start[task], self.end[task] = self.try_on(task, host)
        self.host[task] = host
        self.order.append(task)
        insort(self._busy[host], (self.start[task], self.end[task]))

    def place_earliest(self, task: int) -> None:
        """Where it ends first."""
        self.place(task, min(self.case.hosts, key=lambda host: self.try_on(task, host)[1]))

    @property
    def makespan(self) -> float:
        return max(self.end)


def heft(case: Case) -> Schedule:
    """Topcuoglu, Hariri, Wu 2002: by upward rank, each where it ends first."""
    schedule = Schedule(case)
    upward = _upward(case)
    for task in sorted(_topological(case), key=lambda task: -upward[task]):
        schedule.place_earliest(task)
    return schedule


def cpop(case: Case) -> Schedule:
    """Topcuoglu, Hariri, Wu 2002: the critical path on its fastest host, the others where they end first."""
    upward, downward = _upward(case), _downward(case)
    rank = [up + down for up, down in zip(upward, downward, strict=True)]
    longest = max(rank)
    path = {task for task, value in enumerate(rank) if value >= longest * (1 - 1e-9)}
    best = min(case.hosts, key=lambda host: sum(case.seconds[task][host] for task in path))
    schedule = Schedule(case)
    _by_ready(
        case,
        lambda ready: max(ready, key=lambda task: (rank[task], -task)),
        lambda task: schedule.place(task, best) if task in path else schedule.place_earliest(task),
    )
    return schedule


def min_min(case: Case) -> Schedule:
    """Of the ready tasks, the one that can end first."""
    return _greedy(case, lambda ends: (min(ends), 0.0))


def max_min(case: Case) -> Schedule:
    """Of the ready tasks, the one whose earliest end is latest."""
    return _greedy(case, lambda ends: (-min(ends), 0.0))


def sufferage(case: Case) -> Schedule:
    """Of the ready tasks, the one that loses most if it does not get its best host."""
    return _greedy(case, lambda ends: (sorted(ends)[0] - sorted(ends)[1], min(ends)))


def peft(case: Case) -> Schedule:
    """Arabnejad, Barbosa 2014: HEFT with a look ahead, by a table of optimistic costs."""
    table = _optimistic(case)
    rank = [sum(row) / len(row) for row in table]
    schedule = Schedule(case)
    _by_ready(
        case,
        lambda ready: max(ready, key=lambda task: (rank[task], -task)),
        lambda task: schedule.place(
            task, min(case.hosts, key=lambda host: schedule.try_on(task, host)[1] + table[task][host])
        ),
    )
    return schedule


PEERS: dict[str, Callable[[Case], Schedule]] = {
    "HEFT": heft,
    "CPOP": cpop,
    "PEFT": peft,
    "Min-Min": min_min,
    "Max-Min": max_min,
    "Sufferage": sufferage,
}


def _greedy(case: Case, key: Callable[[list[float]], tuple[float, float]]) -> Schedule:
    schedule = Schedule(case)

    def value(task: int) -> tuple[float, float]:
        return key([schedule.try_on(task, host)[1] for host in case.hosts])

    _by_ready(case, lambda ready: min(ready, key=value), schedule.place_earliest)
    return schedule


def _by_ready(case: Case, choose: Callable[[list[int]], int], place: Callable[[int], None]) -> None:
    missing = [len(mine) for mine in case.parents]
    children = _children(case)
    ready = [task for task, count in enumerate(missing) if not count]
    while ready:
        task = choose(ready)
        ready.remove(task)
        place(task)
        for child, _ in children[task]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)


def _children(case: Case) -> list[list[tuple[int, float]]]:
    children: list[list[tuple[int, float]]] = [[] for _ in case.parents]
    for task, mine in enumerate(case.parents):
        for parent, size in mine:
            children[parent].append((task, size))
    return children


def _topological(case: Case) -> list[int]:
    order: list[int] = []
    _by_ready(case, lambda ready: ready[0], order.append)
    return order


def _mean_byte_seconds(case: Case) -> float:
    apart = [case.byte_seconds[a][b] for a in case.hosts for b in case.hosts if a != b]
    return sum(apart) / len(apart)


def _upward(case: Case) -> list[float]:
    children, byte_seconds = _children(case), _mean_byte_seconds(case)
    rank = [0.0] * len(case.seconds)
    for task in reversed(_topological(case)):
        rest = max((size * byte_seconds + rank[child] for child, size in children[task]), default=0.0)
        rank[task] = rest + sum(case.seconds[task]) / len(case.seconds[task])
    return rank


def _downward(case: Case) -> list[float]:
    byte_seconds = _mean_byte_seconds(case)
    mean = [sum(row) / len(row) for row in case.seconds]
    rank = [0.0] * len(case.seconds)
    for task in _topological(case):
        before = (rank[parent] + mean[parent] + size * byte_seconds for parent, size in case.parents[task])
        rank[task] = max(before, default=0.0)
    return rank


def _optimistic(case: Case) -> list[list[float]]:
    """Of each task on each host, the least that is left after it."""
    children, byte_seconds = _children(case), _mean_byte_seconds(case)
    table = [[0.0] * len(case.hosts) for _ in case.seconds]
    for task in reversed(_topological(case)):
        for host in case.hosts:
            worst = 0.0
            for child, size in children[task]:
                best = math.inf
                for other in case.hosts:
                    apart = size * byte_seconds if other != host else 0.0
                    best = min(best, table[child][other] + case.seconds[child][other] + apart)
                worst = max(worst, best)
            table[task][host] = worst
    return table
