"""The checker finds what is wrong: each rule has a plan that breaks it and nothing else does."""

import math

import pytest
from msgspec.structs import replace

from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.plan import Placement, Plan
from cwlbalsam.planner.problem import Constraints, Data, Duration, Job, Link, Option, Problem, Site, Window, Work
from cwlbalsam.planner.schedule import make_plan

SITES = (
    Site("here", (Window(2),), cores=2, software=frozenset({"gcc"})),
    Site("there", (Window(1, opens=5.0, closes=100.0),), software=frozenset({"gcc"})),
)
PROBLEM = Problem(
    jobs=(
        Job("make", 0, inputs=(0,)),
        Job("use", 1, inputs=(1,), after=(0,)),
        Job("alone", 0, not_before=3.0),
    ),
    works=(
        Work("slow", (Option(0, Duration(10.0), cores=2), Option(0, Duration(6.0), nodes=2))),
        Work("quick", (Option(1, Duration(4.0)),), software=frozenset({"gcc"})),
    ),
    sites=SITES,
    data=(Data(8.0, sites=(1,)), Data(20.0, producer=0)),
    links=(Link(0, 1, 10.0, 1.0), Link(1, 0, 10.0, 1.0)),
)
PLAN = make_plan(PROBLEM, Effort(evaluations=0))


def changed(job: int, **fields: object) -> Plan:
    placements = list(PLAN.placements)
    placements[job] = replace(placements[job], **fields)
    return replace(PLAN, placements=tuple(placements))


def moved(number: int, **fields: object) -> Plan:
    transfers = list(PLAN.transfers)
    transfers[number] = replace(transfers[number], **fields)
    return replace(PLAN, transfers=tuple(transfers))


def test_a_right_plan_has_no_faults() -> None:
    assert faults(PROBLEM, PLAN) == []
    assert len(PLAN.transfers) == 2


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (replace(PLAN, placements=PLAN.placements[:2]), "placements for 3 jobs"),
        (changed(0, option=7), "no such option"),
        (changed(0, window=7), "no such window"),
        (changed(0, site=1), "not where or how"),
        (changed(0, nodes=()), "0 nodes instead of"),
        (changed(0, nodes=(9,)), "a node that the window does not have"),
        (changed(0, end=PLAN.placements[0].end + 1), "takes"),
        (changed(1, start=0.0, end=4.0), "outside of its window"),
        (changed(1, start=0.0, end=4.0), "a job that it follows"),
        (changed(1, start=99.0, end=103.0), "outside of its window"),
        (changed(2, start=0.0, end=PLAN.placements[2].end - PLAN.placements[2].start), "starts before it may"),
        (replace(PLAN, transfers=()), "before datum 0 is there"),
        (replace(PLAN, transfers=PLAN.transfers * 2), "twice"),
        (moved(0, end=PLAN.transfers[0].start), "faster than its link"),
        (moved(0, source=0), "no such link"),
        (moved(1, start=0.0, end=3.0), "sent before or from where it is not"),
        (replace(PLAN, makespan=1.0), "the makespan is not the last end"),
        (replace(PLAN, node_seconds=1.0), "node-seconds, not"),
        (replace(PLAN, order=(0, 0, 1)), "the order is none"),
        (replace(PLAN, bytes_moved=1.0), "bytes moved, not"),
        (replace(PLAN, bound=1e6), "before its bound"),
    ],
)
def test_a_fault_is_found(plan: Plan, fault: str) -> None:
    assert any(fault in one for one in faults(PROBLEM, plan)), faults(PROBLEM, plan)


def test_two_jobs_on_one_core_are_found() -> None:
    first = PLAN.placements[0]
    same = changed(2, nodes=first.nodes, start=first.start, end=first.end, option=first.option)
    assert any("is full" in one for one in faults(PROBLEM, same))


def test_two_transfers_at_once_are_found() -> None:
    shared = Problem(
        jobs=(Job("a", 0, inputs=(0, 1)),),
        works=(Work("w", (Option(0, Duration(1.0)),)),),
        sites=SITES,
        data=(Data(10.0, sites=(1,)), Data(10.0, sites=(1,))),
        links=(Link(1, 0, 10.0),),
    )
    plan = make_plan(shared)
    assert plan.makespan == 3.0
    at_once = tuple(replace(one, start=0.0, end=1.0) for one in plan.transfers)
    assert any("two transfers at once" in one for one in faults(shared, replace(plan, transfers=at_once)))


@pytest.mark.parametrize(
    ("constraints", "fault"),
    [
        (Constraints(deadline=1.0), "later than"),
        (Constraints(node_seconds=1.0), "node-seconds of"),
        (Constraints(min_efficiency=0.99), "less efficient"),
    ],
)
def test_a_broken_limit_is_found(constraints: Constraints, fault: str) -> None:
    wide = Placement(site=0, window=0, option=1, nodes=(0, 1), cores=2, start=20.0, end=26.0, node_seconds=12.0)
    plan = replace(changed(2, **{name: getattr(wide, name) for name in wide.__struct_fields__}), makespan=26.0)
    found = faults(replace(PROBLEM, constraints=constraints), plan)
    assert any(fault in one for one in found), found


def test_a_broken_budget_of_a_site_is_found() -> None:
    poor = (replace(SITES[0], node_seconds=1.0), SITES[1])
    assert any("here: " in one for one in faults(replace(PROBLEM, sites=poor), PLAN))


def test_a_site_without_the_software_is_found() -> None:
    bare = (SITES[0], replace(SITES[1], software=frozenset()))
    assert any("lacks its software" in one for one in faults(replace(PROBLEM, sites=bare), PLAN))


def test_infinite_times_are_no_plan() -> None:
    assert faults(PROBLEM, changed(2, start=math.inf, end=math.inf))
