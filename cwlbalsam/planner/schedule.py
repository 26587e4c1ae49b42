"""From a problem to a plan: list scheduling by several rules, then local search from the best as long as it may."""

import math
import time
from collections.abc import Callable

from msgspec.structs import replace

from cwlbalsam.planner.bounds import check_budgets, lower_bound
from cwlbalsam.planner.compact import Compact, make_compact
from cwlbalsam.planner.improve import Annealing, Effort
from cwlbalsam.planner.listing import Draft, Listing
from cwlbalsam.planner.plan import Plan
from cwlbalsam.planner.problem import HOUR, Infeasible, Problem
from cwlbalsam.planner.ranks import by_rank, least_ranks, mean_ranks
from cwlbalsam.planner.record import record

SEARCHED_JOBS = 3_000
"""A plan of more jobs is not improved: a single evaluation takes too long for a search to get anywhere."""
LISTED_TWICE = 20_000
"""A list by a second rule gains little where there are more jobs."""
SHARERS = (0.0, 1.0, 4.0, 16.0, math.inf)
"""How many jobs are taken to share the nodes when sizes are chosen: none (the fastest size) to many (the leanest)."""


def make_plan(problem: Problem, effort: Effort | None = None, clock: Callable[[], float] = time.perf_counter) -> Plan:
    """The best plan that is found with this effort.

    Raises Infeasible if the constraints cannot be met, or no plan that meets them was found.
    """
    started = clock()
    effort = effort or Effort()
    compact = make_compact(problem)
    if not problem.jobs:
        return record(compact, (), ())
    check_budgets(compact)
    bound = lower_bound(compact)
    _check_deadline(problem, bound, proven=True)
    draft = first_draft(compact)
    evaluations = 0
    if len(problem.jobs) <= SEARCHED_JOBS:
        left = max(effort.seconds - (clock() - started), 0.0)
        search = Annealing(compact, draft, replace(effort, seconds=left), clock)
        if problem.objective == "node-hours":
            search.trim()
        search.run(_good_enough(compact, bound))
        search.trim()
        draft, evaluations = search.draft, search.evaluations
    plan = record(compact, draft.order, draft.choice)
    _check_deadline(problem, plan.makespan, proven=False)
    return replace(plan, bound=bound, evaluations=evaluations)


def first_draft(compact: Compact) -> Draft:
    """The best of several lists. Raises Infeasible if all of them get stuck."""
    drafts: list[Draft] = []
    stuck: Infeasible | None = None
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for allowed in (compact.of_work, *(_sizes(compact, sharers) for sharers in SHARERS)):
        if tuple(allowed) in seen:
            continue
        seen.add(tuple(allowed))
        for ranks in (mean_ranks, least_ranks)[: 2 if len(compact.work) <= LISTED_TWICE else 1]:
            try:
                drafts.append(Listing(compact, allowed).run(by_rank(compact, ranks(compact, allowed))))
            except Infeasible as error:
                stuck = error
    deadline = compact.problem.constraints.deadline
    if compact.problem.objective == "node-hours" or not drafts or min(one.makespan for one in drafts) > deadline:
        try:
            order = by_rank(compact, mean_ranks(compact, compact.of_work))
            drafts.append(Listing(compact, compact.of_work, lean=True).run(order))
        except Infeasible as error:
            stuck = error
    if not drafts:
        assert stuck is not None
        raise stuck
    return min(drafts, key=lambda one: _merit(compact, one))


def _sizes(compact: Compact, sharers: float) -> list[tuple[int, ...]]:
    """Of each work, the choices of one size at each site: the one that ends first if so many jobs share all nodes."""
    choices = compact.choices
    nodes = sum(window.nodes for site in compact.problem.sites for window in site.windows)

    def seconds(choice: int) -> tuple[float, float]:
        cost = choices.cost[choice]
        return (
            (cost, choices.seconds[choice])
            if sharers == math.inf
            else (choices.seconds[choice] + sharers * cost / nodes, cost)
        )

    allowed: list[tuple[int, ...]] = []
    for mine in compact.of_work:
        best: dict[int, int] = {}
        for choice in mine:
            site = choices.site[choice]
            if site not in best or seconds(choice) < seconds(best[site]):
                best[site] = choice
        kept = {choices.option[choice] for choice in best.values()}
        allowed.append(tuple(choice for choice in mine if choices.option[choice] in kept))
    return allowed


def _merit(compact: Compact, draft: Draft) -> tuple[float, float]:
    """The lower the better."""
    problem = compact.problem
    cost = math.fsum(compact.choices.cost[one] for one in draft.choice)
    if problem.objective == "node-hours":
        return max(0.0, draft.makespan - problem.constraints.deadline), cost
    return draft.makespan, cost


def _good_enough(compact: Compact, bound: float) -> float:
    if compact.problem.objective == "time":
        return bound * (1 + 1e-9)
    costs = compact.choices.cost
    leanest = [min((costs[one] for one in mine), default=0.0) for mine in compact.of_work]
    return math.fsum(leanest[work] for work in compact.work) * (1 + 1e-9)


def _check_deadline(problem: Problem, seconds: float, *, proven: bool) -> None:
    deadline = problem.constraints.deadline
    if problem.objective == "node-hours" and deadline == math.inf:
        raise ValueError("least node-hours need a deadline")
    if seconds <= deadline * (1 + 1e-9):
        return
    found = "the jobs need at least" if proven else "the shortest plan that was found needs"
    raise Infeasible(
        f"{found} {_time(seconds)}, {_time(seconds - deadline)} more than the deadline allows ({_time(deadline)})",
        limit="deadline",
        needed=seconds,
        allowed=deadline,
        proven=proven,
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < HOUR else f"{seconds / HOUR:.4g} h"
