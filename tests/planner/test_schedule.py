import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cwlbalsam.planner.check import faults
from cwlbalsam.planner.compact import make_compact
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.listing import Listing
from cwlbalsam.planner.plan import Plan
from cwlbalsam.planner.problem import Problem
from cwlbalsam.planner.ranks import by_rank, mean_ranks
from cwlbalsam.planner.schedule import make_plan
from tests.planner.problems import problems

QUICK = Effort(evaluations=60, seconds=math.inf)
slow = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
