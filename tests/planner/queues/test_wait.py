"""Waits: what must hold for any history, and what a queue with a habit must show."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState
from cwlbalsam.planner.queues.arrival import Arrival, arrival_at, coordinates
from cwlbalsam.planner.queues.blend import Blend, Tracker
from cwlbalsam.planner.queues.neighbours import product_limit, quantile
from cwlbalsam.planner.queues.wait import BOUND, MEDIAN, WaitModel


def arrival(time: float, nodes: int = 1, estimate: float = 0.0) -> Arrival:
    return Arrival(time=time, nodes=nodes, wall_seconds=3600.0, capacity=100, free=10, estimates={"replay": estimate})


def run(model: WaitModel, waits: list[tuple[float, int, float, float]]) -> list[tuple[float, float, float]]:
    """(arrival, nodes, estimate, wait) in order of arrival -> (median, bound, wait)."""
    said, open_ = [], []
    for number, (time, nodes, estimate, wait) in enumerate(waits):
        for start, job in sorted(one for one in open_ if one[0] <= time):
            model.started(job, start)
            open_.remove((start, job))
        here = arrival(time, nodes, estimate)
        forecast = model.estimate(here)
        model.submitted(str(number), here, forecast)
        open_.append((time + wait, str(number)))
        said.append((forecast.median_seconds, forecast.bound_seconds, wait))
    return said


histories = st.lists(
    st.tuples(st.floats(0, 5000), st.integers(1, 100), st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30
).map(sorted)


@settings(max_examples=40, deadline=None)
@given(histories)
def test_forecasts_are_finite_and_the_bound_is_never_below_the_median(
    history: list[tuple[float, int, float, float]],
) -> None:
    for median, bound, _ in run(WaitModel(("replay",)), history):
        assert 0 <= median <= bound < math.inf


def test_bounds_hold_as_often_as_they_say_when_waits_depend_on_the_size() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.choice([1, 8, 64], 2000)
    jobs = [(60.0 * n, int(size), 0.0, float(30 * size * rng.lognormal(0, 0.8))) for n, size in enumerate(sizes)]
    said = np.array(run(WaitModel(), jobs))[300:]
    assert 0.93 <= (said[:, 2] <= said[:, 1]).mean() <= 0.985
    small, large = said[sizes[300:] == 1, 0], said[sizes[300:] == 64, 0]
    assert np.median(large) > 20 * np.median(small)


def test_bounds_are_right_again_after_the_queue_has_changed() -> None:
    rng = np.random.default_rng(5)
    waits = [float((100 if n < 700 else 2000) * rng.lognormal(0, 0.5)) for n in range(2000)]
    said = np.array(run(WaitModel(), [(60.0 * n, 4, 0.0, wait) for n, wait in enumerate(waits)]))[1000:]
    assert (said[:, 2] <= said[:, 1]).mean() >= 0.93


def test_an_estimate_that_was_right_is_followed_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(6)
    waits = [float(rng.lognormal(6, 2)) for _ in range(800)]
    good, bad = WaitModel(("replay",)), WaitModel(("replay",))
    run(good, [(600.0 * n, 4, wait / 3, wait) for n, wait in enumerate(waits)])
    run(bad, [(600.0 * n, 4, float(rng.lognormal(6, 2)), wait) for n, wait in enumerate(waits)])
    assert good.weights(MEDIAN)["replay"] > 0.5 > 0.2 > bad.weights(MEDIAN)["replay"]


def test_a_job_that_waits_longer_than_its_bound_is_a_miss_at_once() -> None:
    model = WaitModel()
    for number in range(50):
        here = arrival(100.0 * number)
        model.submitted(str(number), here, model.estimate(here))
        model.started(str(number), 100.0 * number + 10)
    before = model.estimate(arrival(5000.0))
    stuck = [str(number) for number in range(100, 120)]
    for job in stuck:
        model.submitted(job, arrival(5000.0), before)
    after = model.estimate(arrival(5000.0 + 20 * before.bound_seconds))
    assert after.bound_seconds > 1.2 * before.bound_seconds


def test_the_first_job_of_a_queue_gets_an_answer() -> None:
    assert WaitModel().estimate(arrival(0.0)).bound_seconds >= 3600


def test_the_state_of_a_machine_is_summed_up() -> None:
    queued = [BatchJob(id=str(n), state=BatchState.QUEUED, nodes=n, wall_seconds=100, submitted=900) for n in (1, 4)]
    running = BatchJob(id="r", state=BatchState.RUNNING, nodes=5, wall_seconds=100, started=950)
    machine = MachineState(time=1000, nodes=10, free=5, jobs=(*queued, running))
    found = arrival_at(machine, 2, 100, {"replay": 7.0})
    assert (found.queued_work, found.smaller_work, found.mean_age, found.free) == (500, 100, 100, 5)
    assert np.isfinite(coordinates(found, ("replay", "unknown"))).all()


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.02, 1), st.booleans()), min_size=1, max_size=30))
def test_the_product_limit_never_falls_and_stays_within_0_and_1(rows: list[tuple[float, float, bool]]) -> None:
    rows.sort()
    waits, weights, known = (np.array(column) for column in zip(*rows, strict=True))
    below = product_limit(weights, known)
    assert (np.diff(below) >= -1e-12).all() and below[0] >= -1e-12 and below[-1] <= 1 + 1e-12
    assert waits[0] <= quantile(waits, below, 0.5) <= waits[-1]


def test_without_open_waits_the_product_limit_is_the_empirical_distribution() -> None:
    assert product_limit(np.ones(4), np.ones(4, dtype=bool)) == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_blend_moves_to_the_better_forecaster_and_stays_within_them() -> None:
    blend = Blend(0.5, 2)
    for _ in range(100):
        blend.learn([10.0, 50.0], 11.0)
    assert blend.weights()[0] > 0.95
    assert 10.0 <= blend.mix([10.0, 50.0]) <= 12.0


def test_a_tracker_balances_misses_and_hits() -> None:
    tracker = Tracker(BOUND, step=0.1, most=3.0)
    for number in range(200):
        tracker.learn(hit=number % 20 != 0)
    assert tracker.value == pytest.approx(0.0, abs=0.11)
