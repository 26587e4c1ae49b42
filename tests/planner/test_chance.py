import math

import pytest
from msgspec.structs import replace

from cwlbalsam.planner.chance import makespan_interval
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.problem import Duration, Job, Option, Problem, Site, Window, Work
from cwlbalsam.planner.schedule import make_plan

FIRST_ONLY = Effort(evaluations=0)


def chain(spread: float, jobs: int = 1, closes: float = math.inf) -> Problem:
    return Problem(
        jobs=tuple(Job(f"job{number}", 0, after=(number - 1,) if number else ()) for number in range(jobs)),
        works=(Work("work", (Option(0, Duration(100.0, spread)),)),),
        sites=(Site("here", (Window(1, closes=closes),)),),
    )


def test_what_is_known_exactly_has_no_interval() -> None:
    problem = chain(0.0, jobs=3)
    interval = makespan_interval(problem, make_plan(problem, FIRST_ONLY))
    assert (interval.low, interval.median, interval.high) == (300.0, 300.0, 300.0)


def test_one_job_has_the_interval_of_its_duration() -> None:
    problem = chain(0.5)
    interval = makespan_interval(problem, make_plan(problem, FIRST_ONLY))
    duration = Duration(100.0, 0.5)
    assert interval.low == pytest.approx(duration.quantile(0.05), rel=0.15)
    assert interval.median == pytest.approx(100.0, rel=0.1)
    assert interval.high == pytest.approx(duration.quantile(0.95), rel=0.15)


def test_a_plan_by_another_quantile_has_the_same_interval() -> None:
    problem = chain(0.5)
    careful = replace(problem, quantile=0.9)
    plan = make_plan(careful, FIRST_ONLY)
    assert plan.makespan == pytest.approx(Duration(100.0, 0.5).quantile(0.9))
    ours = makespan_interval(problem, make_plan(problem, FIRST_ONLY))
    assert makespan_interval(careful, plan).median == pytest.approx(ours.median)


def test_deviations_of_many_jobs_even_out() -> None:
    def relative(jobs: int) -> float:
        problem = chain(0.5, jobs)
        interval = makespan_interval(problem, make_plan(problem, FIRST_ONLY))
        return (interval.high - interval.low) / interval.median

    assert relative(50) < relative(1) / 4


def test_a_window_that_is_often_too_short_shows() -> None:
    problem = chain(0.5, closes=110.0)
    interval = makespan_interval(problem, make_plan(problem, FIRST_ONLY))
    assert interval.median < math.inf
    assert interval.high == math.inf
