import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.statistics import bounded_slowdown, measure, utilisation

from ..queues.loads import NODES, loads


def test_a_short_job_counts_as_one_of_ten_seconds() -> None:
    assert bounded_slowdown(0, 1) == 1
    assert bounded_slowdown(99, 1) == 10
    assert bounded_slowdown(100, 100) == 2


def test_the_statistics_of_two_jobs() -> None:
    requests = [Request("a", 4, 100, 0, 100), Request("b", 2, 100, 50, 50)]
    found = measure(requests, {"a": 0, "b": 100}, 8)
    assert (found.mean_wait_seconds, found.median_wait_seconds, found.mean_bounded_slowdown) == (25, 25, 1.5)
    assert (found.begin, found.end) == (0, 150)
    assert found.utilisation == pytest.approx(500 / 1200)


@given(loads(), st.integers(1, 9))
def test_the_parts_of_the_utilisation_average_to_the_whole(load: list[Request], parts: int) -> None:
    machine = Machine(NODES, "easy", load)
    machine.advance(float("inf"))
    shares = utilisation(load, machine.starts, NODES, parts)
    assert sum(shares) / parts == pytest.approx(measure(load, machine.starts, NODES).utilisation)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
