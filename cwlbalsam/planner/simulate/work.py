"""Work to send through pilots: jobs with parents, what is believed of their run times, and what is true."""

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from math import log2

from msgspec import Struct

from cwlbalsam.planner.packing import Demand, order


class Task(Struct, frozen=True, kw_only=True, gc=False):
    """A job. seconds: expected; most_seconds: a high quantile; parents: indices of earlier tasks."""

    nodes: int
    seconds: float
    most_seconds: float
    parents: tuple[int, ...] = ()


class Noise(Struct, frozen=True, kw_only=True):
    """sigma: of the natural logarithm of actual by expected run time. failures: share of attempts that fail."""

    sigma: float = 0.1
    failures: float = 0.01
    seed: int = 0

    def actual(self, number: int, task: Task, attempt: int) -> tuple[float, bool]:
        """(seconds, whether it ends well) of an attempt, the same whoever asks."""
        dice = random.Random(f"{self.seed} {number} {attempt}")  # noqa: S311 - no secret
        seconds = task.seconds * dice.lognormvariate(-(self.sigma**2) / 2, self.sigma)
        if dice.random() < self.failures:
            return seconds * dice.random(), False
        return seconds, True


Order = Callable[[Sequence[Task]], list[float]]


def upward_ranks(tasks: Sequence[Task]) -> list[float]:
    """Expected seconds from the start of each to the end of all that needs it: the more, the more urgent."""
    below = [0.0] * len(tasks)
    ranks = [0.0] * len(tasks)
    for number in range(len(tasks) - 1, -1, -1):
        ranks[number] = below[number] + tasks[number].seconds
        for parent in tasks[number].parents:
            below[parent] = max(below[parent], ranks[number])
    return ranks


class Ready:
    """Tasks that may run, by how many nodes they take, each list in order of rank.

    Those that are about equally long are also counted together, as a demand.
    """

    def __init__(self, tasks: Sequence[Task], ranks: Sequence[float]) -> None:
        self._tasks = tasks
        self._ranks = ranks
        self._lists: dict[int, list[tuple[float, int]]] = {}
        self._groups: dict[tuple[int, int], _Group] = {}
        self._demands: list[Demand] | None = None  # until something changes

    def __len__(self) -> int:
        return sum(map(len, self._lists.values()))

    def add(self, number: int) -> None:
        task = self._tasks[number]
        insort(self._lists.setdefault(task.nodes, []), (-self._ranks[number], number))
        group = self._groups.setdefault((task.nodes, _rung(task.most_seconds)), _Group())
        group.count += 1
        group.seconds += task.seconds
        group.most_seconds = max(group.most_seconds, task.most_seconds)
        self._demands = None

    def take(self, nodes: int, seconds: float) -> int | None:
        """The most urgent one that needs no more nodes and is sure to end in time."""
        best: tuple[float, int] | None = None
        for width, entries in self._lists.items():
            if width > nodes:
                continue
            for entry in entries:
                if best is not None and entry >= best:
                    break
                if self._tasks[entry[1]].most_seconds <= seconds:
                    best = entry
                    break
        if best is None:
            return None
        task = self._tasks[best[1]]
        entries = self._lists[task.nodes]
        del entries[bisect_left(entries, best)]
        name = task.nodes, _rung(task.most_seconds)
        group = self._groups[name]
        group.count -= 1
        group.seconds -= task.seconds
        if not group.count:
            del self._groups[name]
        self._demands = None
        return best[1]

    def demands(self) -> list[Demand]:
        """All of them, in the order in which they are packed."""
        if self._demands is None:
            self._demands = order(
                [
                    Demand(
                        nodes=nodes,
                        seconds=group.seconds / group.count,
                        most_seconds=group.most_seconds,
                        count=group.count,
                    )
                    for (nodes, _), group in self._groups.items()
                ]
            )
        return self._demands


class _Group(Struct):
    """seconds: of all together; most_seconds: of any that was ever in it."""

    count: int = 0
    seconds: float = 0.0
    most_seconds: float = 0.0


def _rung(seconds: float) -> int:
    """Run times that differ by less than an eighth or so stand on one rung."""
    return round(8 * log2(max(seconds, 1.0)))
