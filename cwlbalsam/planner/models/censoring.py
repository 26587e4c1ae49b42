"""Observations that are only known to be larger than something: jobs that were ended by their time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cwlbalsam.planner.models.student import normal_cdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FAR = 6.0
"""Deviations beyond which the normal distribution's hazard is replaced by its asymptote."""


def hazard(z: Floats) -> Floats:
    """Density over survival of the standard normal distribution: what a survivor's mean exceeds 0 by."""
    near = np.minimum(z, FAR)
    exact = np.exp(-0.5 * near * near) / np.sqrt(2 * np.pi) / (1.0 - normal_cdf(near))
    return np.where(z > FAR, z + 1.0 / np.maximum(z, FAR), exact)


def censored_targets(limits: Floats, means: Floats, scales: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Pseudo-observations that move a normal model as `y > limit` does, to second order (a Newton step).

    limits: (jobs,); means, scales: what is predicted, (jobs, cells); shares: of the cells, (cells,). Returns targets
    (jobs, cells), never below the means, and weights (jobs,) in 0..1: near 0 where the limit says nothing new, near 1
    where it lies far above what was expected.
    """
    z = (limits[:, None] - means) / scales
    push = hazard(z)
    information = np.clip(push * (push - z), 1e-6, 1.0)
    weights = information @ shares
    return means + scales * np.minimum(push / weights[:, None], 1e3), weights
