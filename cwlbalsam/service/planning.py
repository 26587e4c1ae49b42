"""Planning a document: from its name and inputs to where and when its jobs are expected to run."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from cwlbalsam.errors import UserError, did_you_mean
from cwlbalsam.executor.capacity import detect_machine
from cwlbalsam.planner.chance import makespan_interval
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.plan import Interval, Placement, Plan
from cwlbalsam.planner.problem import HOUR, Constraints, Objective, Problem
from cwlbalsam.planner.schedule import make_plan
from cwlbalsam.service.expected import expect_local
from cwlbalsam.service.home import find_home
from cwlbalsam.service.inputs import InputSource, check_inputs
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.run import load

SITES = ("local",)


class Wishes(Struct, frozen=True, kw_only=True):
    """What a plan must keep to. least_node_hours: rather than least time; needs a deadline."""

    sites: tuple[str, ...] = SITES
    max_node_hours: float = math.inf
    min_efficiency: float = 0.0
    deadline_seconds: float = math.inf
    least_node_hours: bool = False
    effort: Effort = Effort()


class Planned(Struct, frozen=True):
    """notes: what was assumed, a sentence each."""

    problem: Problem
    plan: Plan
    interval: Interval
    notes: Sequence[str]


def plan_document(document: str, inputs: InputSource, options: RunOptions, wishes: Wishes) -> Planned:
    """Compile a document and plan its jobs. Raises UserError, Infeasible if the wishes cannot be met."""
    _check_wishes(wishes)
    home = find_home(options.home)
    loaded, order, _ = load(document, inputs, options, home)
    check_inputs(loaded.program, order.values, order)
    limits = Constraints(
        node_seconds=wishes.max_node_hours * HOUR,
        min_efficiency=wishes.min_efficiency,
        deadline=wishes.deadline_seconds,
    )
    home.path.mkdir(parents=True, exist_ok=True)
    objective: Objective = "node-hours" if wishes.least_node_hours else "time"
    expected = expect_local(loaded.program, order.values, detect_machine(home.path), limits, objective)
    plan = make_plan(expected.problem, wishes.effort)
    wrong = faults(expected.problem, plan)
    if wrong:
        raise AssertionError(f"a wrong plan: {wrong[0]}")
    return Planned(expected.problem, plan, makespan_interval(expected.problem, plan), expected.notes)


def _check_wishes(wishes: Wishes) -> None:
    for name in wishes.sites:
        if name not in SITES:
            raise UserError(f"no site '{name}'", hint=did_you_mean(name, SITES, f"there is {', '.join(SITES)}"))
    if wishes.least_node_hours and wishes.deadline_seconds == math.inf:
        raise UserError("least node-hours need a deadline", hint="give --deadline, such as --deadline 2h")


def jobs_that_run(planned: Planned) -> list[tuple[str, Placement]]:
    """Name and placement of the jobs that take nodes, by their start."""
    problem, plan = planned.problem, planned.plan
    return [(problem.jobs[job].name, plan.placements[job]) for job in plan.order if plan.placements[job].nodes]


def why(planned: Planned, placement: Placement) -> str:
    """What the start of a job waits for."""
    problem = planned.problem
    match placement.wait:
        case "nodes":
            return f"waits for the cores of {problem.jobs[placement.waits_for].name}"
        case "job":
            return f"waits for {problem.jobs[placement.waits_for].name}"
        case "transfer":
            return "waits for its data to arrive"
        case "window":
            return "waits for its nodes"
        case "time":
            return "may not start earlier"
    return "starts at once"


def summary(planned: Planned) -> dict[str, Any]:
    """The plan as plain values, for JSON. Times are seconds from now; infinite ones are null."""
    problem, plan, interval = planned.problem, planned.plan, planned.interval
    return {
        "seconds": plan.makespan,
        "interval": {
            "probability": interval.probability,
            "low": _finite(interval.low),
            "median": _finite(interval.median),
            "high": _finite(interval.high),
        },
        "at_least_seconds": plan.bound,
        "node_hours": plan.node_seconds / HOUR,
        "bytes_moved": plan.bytes_moved,
        "assumed": list(planned.notes),
        "jobs": [_row(planned, name, placed) for name, placed in jobs_that_run(planned)],
        "per_site": dict(Counter(problem.sites[placed.site].name for _, placed in jobs_that_run(planned))),
    }


def _row(planned: Planned, name: str, placed: Placement) -> dict[str, Any]:
    sites = planned.problem.sites
    other = placed.runner_up
    return {
        "name": name,
        "site": sites[placed.site].name,
        "nodes": list(placed.nodes),
        "cores": placed.cores,
        "start": placed.start,
        "end": placed.end,
        "why": why(planned, placed),
        "runner_up": other
        and {"site": sites[other.site].name, "nodes": other.nodes, "cores": other.cores, "later_seconds": other.later},
    }


def _finite(value: float) -> float | None:
    return value if value < math.inf else None
