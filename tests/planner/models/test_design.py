"""Columns of the regression."""

import numpy as np

from cwlbalsam.planner.models.design import MOST_NUMBERS, frame_of
from cwlbalsam.planner.models.observation import Setting


def test_numbers_that_never_differ_are_no_terms_and_only_positive_ones_have_logarithms() -> None:
    settings = [Setting(numbers={"same": 3.0, "positive": float(n), "any": n - 5.0}) for n in range(1, 9)]
    terms = frame_of(settings, {}).terms
    assert [(term.name, term.form) for term in terms] == [
        ("any", "linear"),
        ("positive", "log"),
        ("positive", "linear"),
    ]


def test_a_job_without_a_number_stands_in_the_middle() -> None:
    frame = frame_of([Setting(numbers={"k": float(n)}) for n in (1, 10, 100)], {})
    assert (frame.columns([Setting()], frame.terms)[0, -2:] == 0.0).all()


def test_a_site_that_was_never_seen_has_the_column_of_all_others() -> None:
    frame = frame_of([Setting(site="a"), Setting(site="b")], {})
    columns = frame.columns([Setting(site="a"), Setting(site="z")], ())
    assert columns[:, 2:].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_more_numbers_than_can_be_looked_at_are_left_out() -> None:
    settings = [Setting(numbers={f"n{k}": float(k * n) for k in range(40)}) for n in range(3)]
    assert len({term.name for term in frame_of(settings, {}).terms}) == MOST_NUMBERS


def test_values_beyond_all_reason_stay_finite() -> None:
    frame = frame_of([Setting(numbers={"k": 1.0}), Setting(numbers={"k": 2.0})], {})
    wild = [Setting(numbers={"k": value}, input_bytes=1e30) for value in (-1e308, 0.0, 1e308, np.nan)]
    assert np.isfinite(frame.columns(wild, frame.terms)).all()
