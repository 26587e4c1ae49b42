"""Observations that are only known to be larger than something: jobs that were ended by their time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cwlbalsam.planner.models.student import normal_cdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UPPER = 2.2
"""Deviations above the mean of the quantile that must not fall: the 0.95 one, by which wall time is asked for, of the
widest Student-t distribution that forecasts are made of (4 degrees of freedom: 2.13)."""
FAR = 6.0
"""Deviations beyond which the normal distribution's hazard is replaced by its asymptote."""


def hazard(z: Floats) -> Floats:
    """Density over survival of the standard normal distribution: what a survivor's mean exceeds 0 by."""
    near = np.minimum(z, FAR)
    exact = np.exp(-0.5 * near * near) / np.sqrt(2 * np.pi) / (1.0 - normal_cdf(near))
    return np.where(z > FAR, z + 1.0 / np.maximum(z, FAR), exact)


def log_survival(z: Floats) -> Floats:
    """Of the standard normal distribution."""
    far = np.maximum(z, FAR)
    tail = -0.5 * far * far - 0.5 * np.log(2 * np.pi) - np.log(far + 1.0 / far)
    return np.asarray(np.where(z > FAR, tail, np.log1p(-normal_cdf(np.minimum(z, FAR)))))


def censored_target(limit: float, means: Floats, scales: Floats, doubt: float, shares: Floats) -> tuple[Floats, float]:
    """A pseudo-observation that moves a normal model's mean and variance as `y > limit` does (a moment match).

    means, scales: what is predicted, (cells,); doubt: the part of the predicted variance that is doubt about the mean,
    not noise; shares: of the cells, (cells,). Returns targets (cells,), never below the means, and the weight in 0..1:
    near 0 where the limit says nothing new, near 1 where it lies far above what was expected.
    Source: assumed density filtering, Minka, UAI 2001.
    """
    z = (limit - means) / scales
    push = hazard(z)
    doubt = min(max(doubt, 1e-6), 1.0 - 1e-9)
    rise = np.minimum(push * doubt / UPPER, 1.0)
    most = rise * (2.0 - rise) / doubt**2  # cutting off what is below lowers no upper quantile
    information = np.clip(np.minimum(push * (push - z), most), 1e-9, 1.0 - 1e-9)
    weight = float((information * (1.0 - doubt) / (1.0 - doubt * information)) @ shares)
    return means + scales * push * (doubt + (1.0 - doubt) / weight), weight
