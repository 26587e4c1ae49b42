"""What others predict run times with, re-implemented: least squares in logarithms, Ernest, a Gaussian process."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cwlbalsam.planner.models.observation import Setting

Floats = NDArray[np.float64]
Regressor = Callable[[Sequence[Setting], Floats, Sequence[Setting]], Floats]
"""(settings seen, their seconds, settings to predict) -> seconds"""


def least_squares(seen: Sequence[Setting], seconds: Floats, wanted: Sequence[Setting]) -> Floats:
    """Of log seconds on the logarithms of nodes, size and all numbers."""
    columns, targets = _logs(seen), _logs(wanted)
    found = np.linalg.lstsq(columns, np.log(seconds), rcond=None)[0]
    return np.asarray(np.exp(np.clip(targets @ found, -20, 30)))


def ernest(seen: Sequence[Setting], seconds: Floats, wanted: Sequence[Setting]) -> Floats:
    """`1, size / nodes, log nodes, nodes` with coefficients >= 0. Source: Venkataraman et al., NSDI 2016."""
    columns, targets = _ernest(seen), _ernest(wanted)
    scale = np.maximum(columns.max(axis=0), 1e-12)
    return np.asarray(targets @ (_non_negative(columns / scale, seconds) / scale))


def gaussian_process(seen: Sequence[Setting], seconds: Floats, wanted: Sequence[Setting]) -> Floats:
    """Of log seconds: a linear trend and a smooth remainder, its parameters by maximum likelihood over a grid."""
    columns, targets = _logs(seen)[:, 1:], _logs(wanted)[:, 1:]
    middle, spread = columns.mean(axis=0), columns.std(axis=0)
    used = spread > 1e-9
    columns, targets = ((part[:, used] - middle[used]) / spread[used] for part in (columns, targets))
    level = np.log(seconds).mean()
    logs = np.log(seconds) - level
    best, forecast = -np.inf, np.zeros(len(targets))
    lines = np.exp(np.linspace(-8, 1, 5)), np.exp(np.linspace(-9, 0, 5)), np.exp(np.linspace(-1, 2.5, 5))
    for trend, height, length, noise in itertools.product(*lines, np.exp(np.linspace(-9, -2, 4))):
        kernel = _kernel(columns, columns, trend, height, length) + noise * np.eye(len(columns))
        factor = np.linalg.cholesky(kernel)
        solved = np.linalg.solve(kernel, logs)
        likelihood = -0.5 * float(logs @ solved) - float(np.log(np.diag(factor)).sum())
        if likelihood > best:
            best, forecast = likelihood, _kernel(targets, columns, trend, height, length) @ solved
    return np.asarray(np.exp(np.clip(level + forecast, -20, 30)))


def _kernel(one: Floats, other: Floats, trend: float, height: float, length: float) -> Floats:
    apart = ((one[:, None] - other[None]) ** 2).sum(axis=2)
    return np.asarray(10.0 + trend * one @ other.T + height * np.exp(-0.5 * apart / length**2))


def _logs(settings: Sequence[Setting]) -> Floats:
    """1, log nodes, log size, and each number by its logarithm where it has one."""
    rows = []
    for one in settings:
        numbers = [
            np.log1p(one.numbers[name]) if name in ZERO_BASED else np.log(one.numbers[name])
            for name in sorted(one.numbers)
        ]
        rows.append([1.0, np.log(one.nodes), np.log(one.input_bytes), *numbers])
    return np.array(rows)


ZERO_BASED = frozenset({"p_occurrence"})
"""Numbers of the data that are 0 somewhere."""


def _ernest(settings: Sequence[Setting]) -> Floats:
    return np.array([[1.0, s.input_bytes / s.nodes, np.log(s.nodes), float(s.nodes)] for s in settings])


def _non_negative(columns: Floats, values: Floats) -> Floats:
    """Non-negative least squares, by trying every set of columns: there are four."""
    best, found = np.inf, np.zeros(columns.shape[1])
    for size in range(1, columns.shape[1] + 1):
        for chosen in map(list, itertools.combinations(range(columns.shape[1]), size)):
            some = np.linalg.lstsq(columns[:, chosen], values, rcond=None)[0]
            error = float(((columns[:, chosen] @ some - values) ** 2).sum())
            if (some >= 0).all() and error < best - 1e-12:
                best, found = error, np.zeros(columns.shape[1])
                found[chosen] = some
    return found
