from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from cwlbalsam.service.report.timeline import bars, concurrency, lanes, ticks

intervals = st.lists(
    st.tuples(st.floats(0, 90), st.floats(0, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=60
)


@given(intervals)
def test_lanes_hold_every_interval_once_and_none_overlap(found: list[tuple[float, float]]) -> None:
    starts, ends = [start for start, _ in found], [end for _, end in found]
    placed = lanes(starts, ends, 100)
    assert placed is not None
    assert sorted(index for lane in placed for index in lane) == list(range(len(found)))
    for lane in placed:
        assert all(ends[before] <= starts[after] for before, after in pairwise(lane))


def test_too_many_lanes_are_refused() -> None:
    assert lanes([0.0] * 5, [1.0] * 5, 4) is None


@given(intervals, st.integers(1, 50))
def test_concurrency_keeps_the_time_that_jobs_took(found: list[tuple[float, float]], bins: int) -> None:
    starts, ends = [start for start, _ in found], [end for _, end in found]
    values = concurrency(starts, ends, 100.0, bins)
    assert sum(values) * 100 / bins == approx(sum(end - start for start, end in found), abs=1e-6)
    assert all(-1e-9 <= value <= len(found) + 1e-9 for value in values)


def test_short_neighbours_become_one_bar_but_failures_stay_apart() -> None:
    starts = [index * 0.01 for index in range(1000)]
    ends = [start + 0.009 for start in starts]
    found = bars(range(1000), starts, ends, {500}, gap=0.1)
    assert [(bar.jobs, bar.bad) for bar in found] == [(500, 0), (1, 1), (499, 0)]
    assert len(bars([0, 1], [0, 10.05], [10, 20], set(), gap=0.1)) == 2  # long ones can be told apart


@given(st.floats(0.001, 1e8))
def test_there_are_a_few_ticks_for_any_span(span: float) -> None:
    found = ticks(span)
    assert 2 <= len(found) <= 41 and found[0] == 0 and found[-1] <= span * 1.000001
