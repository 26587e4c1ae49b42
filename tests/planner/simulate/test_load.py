import pytest

from cwlbalsam.planner.simulate.load import DAY, make_load


def test_a_made_up_load_asks_for_the_share_it_should_within_the_machine() -> None:
    load = make_load(64, 60, 0.7, seed=1)
    assert sum(request.nodes * request.seconds for request in load) / (64 * 60 * DAY) == pytest.approx(0.7, abs=0.05)
    assert all(1 <= request.nodes <= 64 and 0 < request.seconds <= request.wall_seconds <= DAY for request in load)
    assert [request.submitted for request in load] == sorted(request.submitted for request in load)


def test_the_same_seed_makes_the_same_load() -> None:
    assert make_load(64, 2, 0.7, seed=1) == make_load(64, 2, 0.7, seed=1) != make_load(64, 2, 0.7, seed=2)


def test_by_day_more_comes_than_by_night() -> None:
    hours = [request.submitted % DAY / 3600 for request in make_load(64, 60, 0.7)]
    assert sum(10 <= hour < 18 for hour in hours) > 2 * sum(hour < 4 or hour >= 22 for hour in hours) * 8 / 6 / 2
