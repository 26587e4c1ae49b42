"""Distributions of a positive quantity: mixtures of Student-t distributions of its logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cwlbalsam.planner.models.student import mixture_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGEST = 200.0
"""Of a logarithm, so that no forecast is infinite."""


@dataclass(frozen=True)
class Forecasts:
    """Of several jobs. means, scales: of log values, (jobs, parts); weights: (parts,), summing to 1."""

    means: Floats
    scales: Floats
    weights: Floats
    dof: float

    def quantiles(self, levels: Sequence[float]) -> Floats:
        """(jobs, levels), in the quantity's unit; never falling from level to level if levels rise."""
        order = np.argsort(levels)
        found = mixture_quantiles(np.array(levels)[order], self.means, self.scales, self.weights, self.dof)
        return np.asarray(np.exp(np.clip(found[:, np.argsort(order)], -LARGEST, LARGEST)))

    def medians(self) -> Floats:
        """(jobs,)."""
        return np.asarray(self.quantiles((0.5,))[:, 0])

    def intervals(self, share: float = 0.9) -> tuple[Floats, Floats]:
        """The middle of the distributions, as much as share says: lower and upper ends, (jobs,) both."""
        ends = self.quantiles(((1 - share) / 2, (1 + share) / 2))
        return ends[:, 0], ends[:, 1]

    def log_moments(self) -> tuple[Floats, Floats]:
        """Mean and deviation of the logarithms, (jobs,) both: a hundred times cheaper than quantiles."""
        means = self.means @ self.weights
        within = self.scales**2 * (self.dof / max(self.dof - 2.0, 0.5))
        squares = (within + (self.means - means[:, None]) ** 2) @ self.weights
        return means, np.sqrt(squares)
