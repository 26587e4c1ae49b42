"""Bayesian linear regression with a normal-inverse-gamma prior, for many offsets of the same data at once.

Given a cell (a scaling curve with its parameters) the model `y - offset = x b + noise` is linear and its posterior is a
formula; cells share x, so one factorisation serves them all and only vectors of length `cells` differ. What is kept are
sums over the data: one more observation costs O(columns x cells). Source: Bishop, PRML 3.3 and exercise 3.12-3.13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """The prior. means: (columns, cells); deviations: (columns,), of coefficients, in units of y; noise: of y.

    The prior is conjugate, so that the coefficients' deviations grow with the noise that is found; `scale` is the noise
    at which they are what they say.
    """

    means: Floats
    deviations: Floats
    noise: float
    weight: float  # how many observations the prior's noise is worth
    scale: float


@dataclass
class Posterior:
    """Sums over the data, prior included. P: (columns, columns); h: (columns, cells); q: (cells,)."""

    start: Start
    precision: Floats
    moment: Floats
    square: Floats
    count: float = 0.0
    solution: tuple[Floats, Floats, Floats] | None = None

    @classmethod
    def of(cls, start: Start) -> Self:
        """Without any data."""
        diagonal = (start.scale / start.deviations) ** 2
        moment = diagonal[:, None] * start.means
        return cls(start, np.diag(diagonal), moment, (start.means * moment).sum(axis=0))

    def add(self, x: Floats, y: Floats, weights: Floats) -> None:
        """Learn. x: (jobs, columns); y: (jobs, cells), offsets taken off; weights: (jobs,), 1.0: in full."""
        weighted = x * weights[:, None]
        self.precision = self.precision + weighted.T @ x
        self.moment = self.moment + weighted.T @ y
        self.square = self.square + weights @ (y * y)
        self.count += float(weights.sum())
        self.solution = None

    def shift(self, x: Floats, y: Floats, weight: float) -> None:
        """Learn of the coefficients alone: what is known of the noise stays. x: (columns,); y: (cells,)."""
        rate = self.solve()[2]
        self.add(x[None], y[None], np.array([weight]))
        self.count -= weight
        means = self.solve()[0]
        first = self.start.weight * self.start.noise**2
        self.square = 2.0 * rate - first + (means * self.moment).sum(axis=0)
        self.solution = None

    @property
    def shape(self) -> float:
        """Of the inverse gamma distribution of the noise."""
        return 0.5 * (self.start.weight + self.count)

    def solve(self) -> tuple[Floats, Floats, Floats]:
        """Coefficients (columns, cells), the inverse of P, and the rate of the noise (cells,)."""
        if self.solution is not None:
            return self.solution
        inverse: Floats = np.asarray(np.linalg.inv(self.precision), dtype=np.float64)
        means = inverse @ self.moment
        rate = 0.5 * (self.start.weight * self.start.noise**2 + self.square - (means * self.moment).sum(axis=0))
        floor = 1e-3 * self.start.weight * self.start.noise**2  # rounding must not make a variance negative
        self.solution = means, inverse, np.maximum(rate, floor)
        return self.solution

    def log_evidence(self) -> Floats:
        """Of the data under each cell."""
        rate = self.solve()[2]
        first = 0.5 * self.start.weight
        first_rate = first * self.start.noise**2
        volume = float(np.log(self.start.scale / self.start.deviations).sum())
        volume -= 0.5 * float(np.linalg.slogdet(self.precision)[1])
        constant = volume + first * math.log(first_rate) + math.lgamma(self.shape) - math.lgamma(first)
        constant -= 0.5 * self.count * math.log(2 * math.pi)
        return np.asarray(constant - self.shape * np.log(rate))
