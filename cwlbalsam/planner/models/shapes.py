"""How time falls, and rises again, with the processors given to a job: a grid of curves, of which the evidence chooses.

`T ~ f + (1 - f) n^-a + c (n - 1)`: f is Amdahl's serial part, a how well the rest is divided, c what each
further processor costs in communication. In *fixed* curves the serial part and the communication do not grow with the
input (start-up, scheduling, barriers: Ernest's features); in the others all three parts do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SERIAL = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8)
POWER = (0.5, 0.75, 1.0, 1.3)
COMMUNICATION = (0.0, 0.003, 0.01, 0.03, 0.08)
FLAT_SHARE = 0.1
"""Prior probability that processors change nothing at all: tools that cannot use them."""


@dataclass(frozen=True)
class Shapes:
    """A grid of curves; every array is (cells,). fixed: 1.0 where the serial part does not grow with the input."""

    serial: Floats
    power: Floats
    communication: Floats
    fixed: Floats
    log_prior: Floats

    def offsets(self, processors: Floats, log_size: Floats) -> Floats:
        """log of the relative time, (jobs, cells). log_size: of the input, relative to what the model is about."""
        n = processors[:, None]
        grown = np.exp(np.clip(self.fixed * log_size[:, None], -30.0, 30.0))
        parallel = (1.0 - self.serial) * n**-self.power * grown
        return np.asarray(np.log(self.serial + parallel + self.communication * (n - 1.0)))


def curves() -> Shapes:
    """The whole grid."""
    cells = [(1.0, 0.0, 0.0, 0.0, FLAT_SHARE)]
    grid = list(itertools.product(SERIAL, POWER, COMMUNICATION, (0.0, 1.0)))
    cells += [(*cell, (1.0 - FLAT_SHARE) / len(grid)) for cell in grid]
    serial, power, communication, fixed, prior = np.array(cells).T
    return Shapes(serial, power, communication, fixed, np.log(prior))


def growth() -> Shapes:
    """Curves that stay level or rise: `1 + c (n - 1)`, with a part that does not depend on the input's size."""
    grid = list(itertools.product((0.0, 0.1, 0.3, 0.6), (0.0, 0.01, 0.1, 0.3, 0.6, 1.0), (0.0, 1.0)))
    serial, communication, fixed = np.array(grid).T
    return Shapes(serial, np.zeros(len(grid)), communication, fixed, np.full(len(grid), -np.log(len(grid))))
