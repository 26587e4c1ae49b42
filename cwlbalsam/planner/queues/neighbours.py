"""The waits of the past arrivals that are most like a new one, those that still wait included.

A job that still waits is known to wait at least so long. Leaving it out would make every long wait invisible until it
is over; it counts as a censored observation of the product-limit estimator (Kaplan and Meier, JASA 53, 1958).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MEMORY = 8000
"""Past arrivals that are kept: some months of a busy machine, compared in 0.2 ms."""
FORGETTING_SECONDS = 30 * 86_400.0
"""An arrival of so long ago is as unlike as one that differs by a factor e in what was asked for."""
LEAST_WEIGHT = 0.02


class Neighbours:
    """A ring of arrivals. Rows are named by the count of arrivals before them."""

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._places = np.zeros((MEMORY, columns))
        self._times = np.zeros(MEMORY)
        self._waits = np.full(MEMORY, np.nan)  # nan: it still waits

    def add(self, place: Floats, time: float) -> int:
        """A new arrival, which waits from now on; its row."""
        slot = self.count % MEMORY
        self._places[slot], self._times[slot], self._waits[slot] = place, time, np.nan
        self.count += 1
        return self.count - 1

    def start(self, row: int, wait: float) -> None:
        """The wait is over. Rows that were forgotten are ignored."""
        if self.count - row <= MEMORY:
            self._waits[row % MEMORY] = wait

    def nearest(self, place: Floats, time: float, counts: Sequence[int]) -> list[tuple[Floats, Floats]]:
        """For each count, of so many nearest arrivals: waits, ascending, and the probability of at most each."""
        size = min(self.count, MEMORY)
        apart = ((self._places[:size] - place) ** 2).sum(axis=1)
        apart += ((self._times[:size] - time) / FORGETTING_SECONDS) ** 2
        most = min(max(counts), size)
        near = np.argpartition(apart, most - 1)[:most] if most < size else np.arange(size)
        near = near[np.argsort(apart[near])]
        return [self._distribution(near[:count], apart[near[:count]], time) for count in counts]

    def _distribution(self, near: NDArray[np.intp], apart: Floats, time: float) -> tuple[Floats, Floats]:
        known = ~np.isnan(self._waits[near])
        waits = np.where(known, self._waits[near], time - self._times[near])
        weights = np.maximum(1.0 - apart / (apart[-1] + 1e-12), LEAST_WEIGHT)
        order = np.lexsort((~known, waits))  # at the same time, those that start come before those that go on waiting
        return waits[order], product_limit(weights[order], known[order])


def product_limit(weights: Floats, known: NDArray[np.bool_]) -> Floats:
    """Probability of at most each wait, the waits ascending; never falls, and ends below 1 if the longest is open."""
    at_risk = np.cumsum(weights[::-1])[::-1]
    return np.asarray(1.0 - np.cumprod(np.where(known, 1.0 - weights / at_risk, 1.0)))


def quantile(waits: Floats, below: Floats, level: float) -> float:
    """The longest wait where the estimate does not reach the level."""
    return float(waits[min(int(np.searchsorted(below, level)), len(waits) - 1)])
