"""Scaling curves."""

import numpy as np
import pytest

from cwlbalsam.planner.models.shapes import curves, growth


@pytest.mark.parametrize("shapes", [curves(), growth()])
def test_one_processor_and_the_usual_input_take_the_usual_time(shapes: object) -> None:
    assert shapes.offsets(np.ones(1), np.zeros(1)) == pytest.approx(0.0)  # type: ignore[attr-defined]
    assert np.exp(shapes.log_prior).sum() == pytest.approx(1.0)  # type: ignore[attr-defined]


def test_amdahls_law_is_among_the_curves() -> None:
    shapes = curves()
    law = (shapes.serial == 0.1) & (shapes.power == 1.0) & (shapes.communication == 0.0) & (shapes.fixed == 0.0)
    assert np.exp(shapes.offsets(np.array([8.0]), np.zeros(1))[0, law]) == pytest.approx([0.1 + 0.9 / 8])


def test_memory_never_falls_with_processors() -> None:
    offsets = growth().offsets(np.array([1.0, 2.0, 16.0]), np.zeros(3))
    assert (np.diff(offsets, axis=0) >= 0).all()
