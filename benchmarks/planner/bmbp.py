"""BMBP and QBETS, re-implemented: an upper bound on a quantile of the wait from the order statistics of past waits.

Source: Brevik, Nurmi, Wolski, "Predicting bounds on queuing delay for batch-scheduled parallel machines", PPoPP 2006;
Nurmi, Brevik, Wolski, "QBETS", JSSPP 2007.
"""

import bisect
import math
from collections import deque
from functools import cache

QUANTILE = CONFIDENCE = 0.95
LEAST = 59
"""The fewest observations of which the largest bounds the 0.95 quantile with confidence 0.95: 0.95^59 < 0.05."""
MISSES = 3
"""So many waits beyond the bound in a row mean that the queue has changed: the paper's rule for uncorrelated waits."""


@cache
def rank(count: int) -> int:
    """Of the order statistic, from 1, that bounds the quantile with confidence; count if none does."""
    if count < 1000:
        below = 0.0
        for hits in range(count):
            below += math.comb(count, hits) * QUANTILE**hits * (1 - QUANTILE) ** (count - hits)
            if below >= CONFIDENCE:
                return hits + 1
        return count
    return math.ceil(count * QUANTILE + 1.6449 * math.sqrt(count * QUANTILE * (1 - QUANTILE)))


class Bmbp:
    """One queue. Waits are learned when they are known, that is when jobs start."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._misses = 0

    def bound(self) -> float:
        """Seconds; infinite without any history."""
        return self._sorted[rank(len(self._sorted)) - 1] if self._sorted else math.inf

    def learn(self, wait: float, bound: float) -> None:
        """bound: what was said when the job arrived."""
        self._misses = self._misses + 1 if wait > bound else 0
        self._recent.append(wait)
        bisect.insort(self._sorted, wait)
        if self._misses >= MISSES and len(self._recent) > LEAST:
            self._recent = deque(list(self._recent)[-LEAST:])
            self._sorted = sorted(self._recent)
            self._misses = 0


class Qbets:
    """BMBP with a history for each class of sizes, powers of 4; the whole queue's until a class has enough."""

    def __init__(self) -> None:
        self._all = Bmbp()
        self._classes: dict[int, tuple[Bmbp, list[int]]] = {}

    def bound(self, nodes: int) -> float:
        """Seconds."""
        found = self._classes.get(_size_class(nodes))
        return found[0].bound() if found and found[1][0] >= LEAST else self._all.bound()

    def learn(self, nodes: int, wait: float, bound: float) -> None:
        """bound: what was said when the job arrived."""
        self._all.learn(wait, bound)
        one, count = self._classes.setdefault(_size_class(nodes), (Bmbp(), [0]))
        one.learn(wait, bound)
        count[0] += 1


def _size_class(nodes: int) -> int:
    return (nodes - 1).bit_length() // 2
