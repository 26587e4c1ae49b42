import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cwlbalsam.planner.check import faults
from cwlbalsam.planner.compact import make_compact
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.listing import Listing
from cwlbalsam.planner.plan import Plan
from cwlbalsam.planner.problem import (
    Constraints,
    Data,
    Duration,
    Infeasible,
    Job,
    Link,
    Option,
    Problem,
    Site,
    Window,
    Work,
)
from cwlbalsam.planner.ranks import by_rank, mean_ranks
from cwlbalsam.planner.schedule import make_plan
from tests.planner.problems import problems

QUICK = Effort(evaluations=60, seconds=math.inf)
slow = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def planned(problem: Problem, effort: Effort = QUICK) -> Plan:
    plan = make_plan(problem, effort)
    assert faults(problem, plan) == []
    return plan


@slow
@given(problems())
def test_every_plan_is_valid(problem: Problem) -> None:
    planned(problem)


@slow
@given(problems(shared=False))
def test_a_plan_is_never_worse_than_heft(problem: Problem) -> None:
    compact = make_compact(problem)
    heft = Listing(compact, compact.of_work).run(by_rank(compact, mean_ranks(compact, compact.of_work)))
    assert planned(problem).makespan <= heft.makespan * (1 + 1e-9)


@slow
@given(problems(), st.integers(0, 3))
def test_a_seed_gives_one_plan(problem: Problem, seed: int) -> None:
    effort = Effort(evaluations=40, seconds=math.inf, seed=seed)
    assert make_plan(problem, effort) == make_plan(problem, effort)


@slow
@given(problems(), st.integers(0, 11))
def test_a_host_more_or_less_time_for_a_work_leaves_plans_valid(problem: Problem, number: int) -> None:
    more = replace(problem.sites[0], windows=(*problem.sites[0].windows, Window(2)))
    planned(replace(problem, sites=(more, *problem.sites[1:])))
    number %= len(problem.works)
    work = problem.works[number]
    faster = tuple(replace(one, seconds=Duration(one.seconds.median / 2)) for one in work.options)
    works = (*problem.works[:number], replace(work, options=faster), *problem.works[number + 1 :])
    planned(replace(problem, works=works))


@slow
@given(problems(), st.floats(0.3, 1.5), st.floats(0.3, 1.5))
def test_budgets_are_kept_or_refused(problem: Problem, total: float, of_site: float) -> None:
    spent = make_plan(problem, QUICK).node_seconds
    sites = (replace(problem.sites[0], node_seconds=spent * of_site), *problem.sites[1:])
    limits = replace(problem.constraints, node_seconds=spent * total)
    poor = replace(problem, sites=sites, constraints=limits)
    try:
        planned(poor)
    except Infeasible as error:
        assert error.limit.startswith("node-hours")
        assert error.needed > error.allowed


@slow
@given(problems(), st.floats(0.5, 3.0))
def test_with_a_deadline_fewer_node_hours_are_spent(problem: Problem, factor: float) -> None:
    quick = make_plan(problem, Effort(evaluations=0))
    limits = replace(problem.constraints, deadline=quick.makespan * factor)
    late = replace(problem, constraints=limits, objective="node-hours")
    try:
        plan = planned(late)
    except Infeasible as error:
        assert error.limit == "deadline"
        assert factor < 1
    else:
        assert factor < 1 or plan.node_seconds <= quick.node_seconds * (1 + 1e-9)


def single(*options: Option, sites: tuple[Site, ...], jobs: int = 1, **more: Any) -> Problem:
    made = tuple(Job(f"job{number}", 0) for number in range(jobs))
    return Problem(jobs=made, works=(Work("work", options, **more),), sites=sites)


ROOM = Site("room", (Window(4),), cores=2)


@pytest.mark.parametrize(
    ("problem", "limit", "message"),
    [
        (single(Option(0, Duration(1.0)), sites=(ROOM,), software=frozenset({"gcc"})), "software", "work needs gcc"),
        (single(Option(0, Duration(1.0), nodes=6), sites=(ROOM,)), "nodes", "room has 4 nodes of the 6 it needs"),
        (single(Option(0, Duration(1.0)), sites=(Site("empty", ()),)), "nodes", "no site has nodes"),
        (
            single(Option(0, Duration(9.0)), sites=(Site("short", (Window(1, closes=7.0),)),)),
            "window",
            "the best one, of short, lasts 7 s of the 9 s it needs",
        ),
        (
            single(Option(0, Duration(7200.0)), sites=(replace(ROOM, node_seconds=3600.0),)),
            "node-hours at room",
            "at least 2 node-hours at room, 1 more than the 1",
        ),
    ],
)
def test_what_cannot_be_is_named_with_how_much_is_lacking(problem: Problem, limit: str, message: str) -> None:
    with pytest.raises(Infeasible, match=message) as caught:
        make_plan(problem, QUICK)
    assert caught.value.limit == limit
    assert caught.value.proven


def test_a_deadline_that_nothing_can_meet_says_by_how_much() -> None:
    problem = single(Option(0, Duration(100.0)), sites=(ROOM,), jobs=12)
    with pytest.raises(Infeasible, match="at least 300 s, 100 s more than the deadline") as caught:
        make_plan(replace(problem, constraints=Constraints(deadline=200.0)), QUICK)
    assert caught.value.needed == pytest.approx(300)


def test_jobs_that_scale_get_more_nodes_when_there_are_few_of_them() -> None:
    options = [Option(0, Duration(100.0 / n**0.8), nodes=n) for n in (1, 2, 4)]
    few = planned(single(*options, sites=(ROOM,)))
    many = planned(single(*options, sites=(ROOM,), jobs=16))
    assert [len(one.nodes) for one in few.placements] == [4]
    assert [len(one.nodes) for one in many.placements] == [1] * 16


def test_data_go_where_they_are_needed_once() -> None:
    jobs = (Job("make", 0), *(Job(f"use{number}", 1, inputs=(0,)) for number in range(3)))
    works = (Work("make", (Option(0, Duration(1.0)),)), Work("use", (Option(1, Duration(1.0)),)))
    problem = Problem(
        jobs=jobs, works=works, sites=(ROOM, ROOM), data=(Data(100.0, producer=0),), links=(Link(0, 1, 10.0),)
    )
    plan = planned(problem)
    assert [(one.start, one.end) for one in plan.transfers] == [(1.0, 11.0)]
    assert plan.makespan == 12.0
    assert plan.placements[1].wait == "transfer"


def test_a_site_that_no_link_leads_to_is_not_used() -> None:
    jobs = (Job("use", 0, inputs=(0,)),)
    works = (Work("use", (Option(0, Duration(50.0)), Option(1, Duration(1.0)))),)
    plan = planned(Problem(jobs=jobs, works=works, sites=(ROOM, ROOM), data=(Data(1.0, sites=(0,)),)))
    assert plan.placements[0].site == 0
    assert plan.placements[0].runner_up is None
    here = (Work("use", works[0].options[:1]),)
    nowhere = Problem(jobs=jobs, works=here, sites=(ROOM, ROOM), data=(Data(1.0, sites=(1,)),))
    with pytest.raises(Infeasible, match="no link leads"):
        make_plan(nowhere)


def test_the_runner_up_says_how_much_later_it_would_end() -> None:
    problem = single(Option(0, Duration(5.0)), Option(1, Duration(7.0)), sites=(ROOM, ROOM))
    runner_up = planned(problem).placements[0].runner_up
    assert runner_up is not None
    assert (runner_up.site, runner_up.later) == (1, 2.0)


def test_no_jobs_make_an_empty_plan() -> None:
    assert planned(single(Option(0, Duration(1.0)), sites=(ROOM,), jobs=0)).makespan == 0


def test_jobs_in_a_circle_are_refused() -> None:
    problem = single(Option(0, Duration(1.0)), sites=(ROOM,), jobs=2)
    circle = (replace(problem.jobs[0], after=(1,)), replace(problem.jobs[1], after=(0,)))
    with pytest.raises(ValueError, match="circle"):
        make_plan(replace(problem, jobs=circle))
