"""Student-t distributions without scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.planner.models.student import mixture_cdf, mixture_quantiles, normal_cdf, student_cdf

TABLE = [
    (3, 2.3534, 0.95),
    (5, 2.0150, 0.95),
    (10, 1.8125, 0.95),
    (30, 1.6973, 0.95),
    (4, 0.7407, 0.75),
    (6, 3.1427, 0.99),
]
"""(degrees of freedom, t, probability): from printed tables."""


@pytest.mark.parametrize(("dof", "t", "probability"), TABLE)
def test_probabilities_are_those_of_printed_tables(dof: int, t: float, probability: float) -> None:
    found = student_cdf(np.array([t, -t]), dof)
    assert found == pytest.approx([probability, 1 - probability], abs=0.002)


def test_the_normal_distribution_is_exact_to_six_digits() -> None:
    assert normal_cdf(np.array([0.0, 1.0, -1.96])) == pytest.approx([0.5, 0.8413447, 0.0249979], abs=1e-6)


parts = st.lists(st.tuples(st.floats(-50, 50), st.floats(0.01, 20), st.floats(0.05, 1)), min_size=1, max_size=6)


@given(parts, st.floats(3, 60))
def test_quantiles_rise_and_undo_the_distribution_function(found: list[tuple[float, float, float]], dof: float) -> None:
    means, scales, raw = (np.array(column) for column in zip(*found, strict=True))
    weights = raw / raw.sum()
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    quantiles = mixture_quantiles(levels, means[None], scales[None], weights, dof)[0]
    assert (np.diff(quantiles) >= 0).all()
    back = mixture_cdf(quantiles, np.tile(means, (5, 1)), np.tile(scales, (5, 1)), weights, dof)
    assert back == pytest.approx(levels, abs=1e-4)
