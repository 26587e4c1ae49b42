"""Learning a quantity: what must hold whatever the data are, and what synthetic data must show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.planner.models.observation import Belief, Setting, SiteSpeed
from cwlbalsam.planner.models.quantity import Quantity

GIB = float(1 << 30)
BELIEF = Belief(median=60.0)

jobs = st.tuples(
    st.builds(
        Setting,
        input_bytes=st.sampled_from([0.0, 1e6, 1e9, 5e9]) | st.floats(0, 1e13),
        nodes=st.integers(1, 64),
        numbers=st.dictionaries(st.sampled_from(["k", "n"]), st.floats(-1e6, 1e6), max_size=2),
        site=st.sampled_from(["", "here", "there"]),
    ),
    st.floats(0.001, 1e6),
    st.booleans(),
)


def learned(data: list[tuple[Setting, float, bool]]) -> Quantity:
    quantity = Quantity(BELIEF, {})
    quantity.learn([one for one, _, _ in data], [value for _, value, _ in data], [over for _, _, over in data])
    return quantity


def amdahl(count: int, seed: int, noise: float = 0.05) -> list[tuple[Setting, float, bool]]:
    rng = np.random.default_rng(seed)
    data = []
    for _ in range(count):
        nodes, size = int(rng.choice([1, 2, 4, 8])), float(rng.uniform(1, 10)) * GIB
        seconds = 100 * size / GIB * (0.1 + 0.9 / nodes) * np.exp(noise * rng.normal())
        data.append((Setting(nodes=nodes, input_bytes=size), float(seconds), False))
    return data


@settings(max_examples=30, deadline=None)
@given(st.lists(jobs, max_size=12), jobs)
def test_quantiles_are_finite_positive_and_rise_with_the_level(
    data: list[tuple[Setting, float, bool]], wanted: tuple[Setting, float, bool]
) -> None:
    found = learned(data).predict([wanted[0]]).quantiles((0.01, 0.05, 0.5, 0.95, 0.99))[0]
    assert np.isfinite(found).all() and (found > 0).all()
    assert (np.diff(found) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(jobs, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_observations_does_not_matter(data: list[tuple[Setting, float, bool]], random: object) -> None:
    shuffled = list(data)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (learned(some).predict([data[0][0]]).medians()[0] for some in (data, shuffled))
    assert one == pytest.approx(other, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(5, 500), max_size=6), st.floats(1, 5000))
def test_a_timeout_only_raises_what_is_predicted(values: list[float], limit: float) -> None:
    data = [(Setting(), value, False) for value in values]
    before = learned(data).predict([Setting()]).quantiles((0.5, 0.95))[0]
    after = learned([*data, (Setting(), limit, True)]).predict([Setting()]).quantiles((0.5, 0.95))[0]
    assert (after >= before * 0.995).all()


def test_a_timeout_far_above_what_was_expected_counts_and_one_far_below_does_not() -> None:
    data = [(Setting(), value, False) for value in (98.0, 100.0, 103.0)]
    alone, low, high = (
        learned([*data, *more]).predict([Setting()]).medians()[0]
        for more in ([], [(Setting(), 10.0, True)], [(Setting(), 400.0, True)])
    )
    assert low == pytest.approx(alone, rel=0.01)
    assert high > 1.1 * alone


def test_intervals_cover_what_they_say_on_data_of_the_models_kind() -> None:
    inside, total = 0, 0
    for seed in range(25):
        data = amdahl(40, seed)
        low, high = learned(data[:8]).predict([one for one, _, _ in data[8:]]).intervals(0.9)
        actual = np.array([value for _, value, _ in data[8:]])
        inside, total = inside + int(((actual >= low) & (actual <= high)).sum()), total + len(actual)
    assert 0.85 <= inside / total <= 0.99


def test_more_data_make_intervals_narrower() -> None:
    data = amdahl(80, 3)
    widths = []
    for count in (3, 10, 80):
        low, high = learned(data[:count]).predict([Setting(nodes=4, input_bytes=3 * GIB)]).intervals(0.9)
        widths.append(float(high[0] / low[0]))
    assert widths[0] > widths[1] > widths[2]


def test_the_law_behind_the_data_is_found_and_carries_beyond_them() -> None:
    found = learned(amdahl(60, 1, noise=0.02)).predict([Setting(nodes=16, input_bytes=5 * GIB)]).medians()[0]
    assert found == pytest.approx(500 * (0.1 + 0.9 / 16), rel=0.15)


def test_a_number_that_matters_is_found_and_one_that_does_not_is_told_from_it() -> None:
    rng = np.random.default_rng(7)
    data = []
    for _ in range(30):
        depth, colour = float(rng.integers(1, 50)), float(rng.integers(1, 9))
        data.append((Setting(numbers={"depth": depth, "colour": colour}), float(10 * depth**0.7), False))
    relevance = learned(data).relevance()
    assert relevance["depth"] > 0.99
    assert relevance["colour"] < 0.5


def test_one_outlier_among_many_does_not_move_the_fit() -> None:
    data = [(Setting(), 100.0 + value, False) for value in range(-5, 6)]
    clean = learned(data).predict([Setting()]).medians()[0]
    spoilt = learned([*data, (Setting(), 5000.0, False)]).predict([Setting()]).medians()[0]
    assert spoilt == pytest.approx(clean, rel=0.05)


def test_one_at_a_time_comes_to_what_all_at_once_does() -> None:
    data = amdahl(30, 5)
    whole, single = learned(data), learned(data[:20])
    for setting, value, over in data[20:]:
        single.add(setting, value, over)
    wanted = [Setting(nodes=2, input_bytes=2 * GIB)]
    assert single.predict(wanted).medians()[0] == pytest.approx(whole.predict(wanted).medians()[0], rel=0.05)


def test_another_site_is_predicted_by_its_believed_speed_with_more_doubt() -> None:
    quantity = Quantity(
        BELIEF,
        {
            "here": SiteSpeed(log_slowness=0.0, deviation=0.01),
            "there": SiteSpeed(log_slowness=float(np.log(2)), deviation=0.2),
        },
    )
    data = [Setting(site="here")] * 10
    quantity.learn(data, [50.0 + one for one in range(10)], [False] * 10)
    forecasts = quantity.predict([Setting(site="here"), Setting(site="there"), Setting(site="unheard-of")])
    medians, (low, high) = forecasts.medians(), forecasts.intervals()
    assert medians[1] / medians[0] == pytest.approx(2, rel=0.1)
    assert high[0] / low[0] < high[1] / low[1] < high[2] / low[2]


def test_without_data_the_belief_is_predicted() -> None:
    assert learned([]).predict([Setting()]).medians()[0] == pytest.approx(60, rel=0.05)
