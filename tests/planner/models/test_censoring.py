"""Values that are only known to be larger than something."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.planner.models.censoring import censored_target, hazard, log_survival


def test_hazard_and_survival_are_those_of_printed_tables() -> None:
    assert hazard(np.array([0.0, 1.0])) == pytest.approx([0.7979, 1.5251], abs=1e-4)
    assert hazard(np.array([10.0])) == pytest.approx([10.098], rel=1e-3)
    assert np.exp(log_survival(np.array([-30.0, 0.0, 2.0]))) == pytest.approx([1.0, 0.5, 0.02275], abs=1e-5)


@given(st.floats(-40, 40), st.floats(0.01, 5), st.floats(0, 0.999))
def test_a_target_is_never_below_what_was_expected_and_weighs_at_most_one(
    limit: float, scale: float, doubt: float
) -> None:
    targets, weight = censored_target(limit, np.zeros(1), np.array([scale]), doubt, np.ones(1))
    assert targets[0] >= 0.0 and 0.0 < weight <= 1.0


@given(st.floats(-3, 3), st.floats(0.05, 0.95))
def test_the_mean_moves_as_that_of_a_truncated_normal(limit: float, doubt: float) -> None:
    targets, weight = censored_target(limit, np.zeros(1), np.ones(1), doubt, np.ones(1))
    gain = weight * doubt / (1 - doubt)  # of a pseudo-observation with the noise's variance over its weight
    assert gain / (1 + gain) * targets[0] == pytest.approx(doubt * hazard(np.array([limit]))[0], rel=1e-6)
