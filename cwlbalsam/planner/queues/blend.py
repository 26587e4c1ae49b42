"""Several forecasts of one quantile, weighted by how well each did before.

Exponential weights on discounted pinball losses (Cesa-Bianchi and Lugosi, Prediction, Learning, and Games, 2.9 and 5):
the mixture is never much worse than the best forecaster of the recent past, whichever that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

DISCOUNT = 0.995
"""A loss counts half after 140 jobs: a machine's habits change within days."""
RATE = 0.2
"""Of learning, per job, of losses relative to the mean loss of all forecasters."""


def pinball(level: float, forecast: float, actual: float) -> float:
    """What a forecast of a quantile costs: least in expectation for the true quantile."""
    return max(level * (actual - forecast), (level - 1.0) * (actual - forecast))


class Blend:
    """Of so many forecasters of the quantile `level`."""

    def __init__(self, level: float, forecasters: int) -> None:
        self.level = level
        self._losses = [0.0] * forecasters
        self._scale = 1e-9

    def weights(self) -> list[float]:
        """Summing to 1; equal at first."""
        least = min(self._losses)
        raw = [math.exp(-RATE * (loss - least) / self._scale) for loss in self._losses]
        return [one / sum(raw) for one in raw]

    def mix(self, forecasts: Sequence[float]) -> float:
        """Never outside the range of the forecasts."""
        mixed = sum(weight * one for weight, one in zip(self.weights(), forecasts, strict=True))
        return min(max(mixed, min(forecasts)), max(forecasts))

    def learn(self, forecasts: Sequence[float], actual: float) -> None:
        """What they had said of a job, and how long it waited."""
        losses = [pinball(self.level, one, actual) for one in forecasts]
        self._losses = [DISCOUNT * old + new for old, new in zip(self._losses, losses, strict=True)]
        self._scale = max((1 - DISCOUNT) * sum(self._losses) / len(losses), 1e-9)


class Tracker:
    """A number that rises with each miss and falls a little with each hit, so that what follows it is right as often
    as the level says in the long run, however the queue changes.

    Source: quantile tracking in Angelopoulos, Candes, Tibshirani, Conformal PID Control, NeurIPS 2023.
    """

    def __init__(self, level: float, step: float, most: float) -> None:
        """step: up for a miss, if the level is near 1; value: 0.0 at first, and always within -most and most."""
        self._level, self._step, self._most = level, step, most
        self.value = 0.0

    def learn(self, hit: bool) -> None:
        """Whether what was forecast was not exceeded."""
        moved = self.value + self._step * ((0.0 if hit else 1.0) - (1.0 - self._level))
        self.value = min(max(moved, -self._most), self._most)
