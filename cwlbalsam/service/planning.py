"""Planning a document: from its name and inputs to where and when its jobs are expected to run."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.cwl.values import files_and_directories, path_of
from cwlbalsam.errors import UserError
from cwlbalsam.planner.chance import makespan_interval
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.plan import Interval, Placement, Plan
from cwlbalsam.planner.problem import HOUR, Constraints, Objective, Problem
from cwlbalsam.planner.schedule import make_plan
from cwlbalsam.service.expected import Fixed, Terms, expect
from cwlbalsam.service.grounds import experience, find_grounds, links_between
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.service.inputs import InputSource, check_inputs
from cwlbalsam.service.learned import Learned, learned
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.run import load
from cwlbalsam.service.run_sites import described_sites, settled, tools_of
from cwlbalsam.service.site_files import pick_site
from cwlbalsam.sites.site import LOCAL, Site
from cwlbalsam.store import open_store

AT_ONCE_SECONDS = 1e-3
"""What sites that see the same files take to have each other's: a link without any length."""


class Wishes(Struct, frozen=True, kw_only=True):
    """What a plan must keep to. least_node_hours: rather than least time; needs a deadline."""

    sites: tuple[str, ...] = (LOCAL,)
    max_node_hours: float = math.inf
    min_efficiency: float = 0.0
    deadline_seconds: float = math.inf
    least_node_hours: bool = False
    effort: Effort = Effort()


class Planned(Struct, frozen=True):
    """notes: what was assumed and what is learned, a sentence each. terms: it was made with. sites: that it may use."""

    problem: Problem
    plan: Plan
    interval: Interval
    notes: Sequence[str]
    terms: Terms
    estimates: Learned
    sites: Mapping[str, Site]


def plan_document(document: str, inputs: InputSource, options: RunOptions, wishes: Wishes) -> Planned:
    """Compile a document and plan its jobs. Raises UserError, Infeasible if the wishes cannot be met."""
    home = find_home(options.home)
    loaded, order, _ = load(document, inputs, options, home)
    check_inputs(loaded.program, order.values, order)
    return plan_program(loaded.program, order.values, options, home, wishes)


def plan_program(
    program: Program,
    values: Mapping[str, Any],
    options: RunOptions,
    home: Home,
    wishes: Wishes,
    fixed: Mapping[str, Fixed] | None = None,
) -> Planned:
    """Plan the jobs of a Program. fixed: what is settled of some, by name.

    Raises UserError, Infeasible if the wishes cannot be met.
    """
    if wishes.least_node_hours and wishes.deadline_seconds == math.inf:
        raise UserError("least node-hours need a deadline", hint="give --deadline, such as --deadline 2h")
    if not wishes.sites:
        raise UserError("no site is named that jobs could run at")
    known = described_sites(options, home)
    chosen = {name: pick_site(known, name) for name in wishes.sites}
    steps = settled(options, program, known)
    chosen |= {name: pick_site(known, name) for name in steps.values() if name}
    with closing(open_store(home.path)) as store:
        estimates, past = learned(program, store, home), experience(store)
    grounds = find_grounds(list(chosen.values()), options, home, past)
    objective: Objective = "node-hours" if wishes.least_node_hours else "time"
    terms = Terms(
        grounds=grounds,
        allowed=lambda step: (steps[step],) if steps.get(step) else wishes.sites,
        estimates=estimates,
        links=links_between(grounds, past),
        constraints=Constraints(
            node_seconds=wishes.max_node_hours * HOUR,
            min_efficiency=wishes.min_efficiency,
            deadline=wishes.deadline_seconds,
        ),
        objective=objective,
        fixed=fixed or {},
    )
    expected = expect(program, with_sizes(values), terms)
    plan = make_plan(expected.problem, wishes.effort)
    wrong = faults(expected.problem, plan)
    if wrong:
        raise AssertionError(f"a wrong plan: {wrong[0]}")
    notes = [*expected.notes, *estimates.notes(tools_by_step(program), list(chosen))]
    interval = makespan_interval(expected.problem, plan)
    return Planned(expected.problem, plan, interval, notes, terms, estimates, chosen)


def tools_by_step(program: Program) -> dict[str, ToolProcess]:
    """Of each step that calls one."""
    found = ((tool.step, program.processes[tool.process]) for tool in tools_of(program))
    return {step: process for step, process in found if isinstance(process, ToolProcess)}


def with_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the sizes of all files that are here."""
    copied: dict[str, Any] = _copy(dict(values))
    for found in files_and_directories(copied):
        location = str(found.get("location", ""))
        if found["class"] == "File" and "size" not in found and location.startswith("file:"):
            with suppress(OSError):
                found["size"] = Path(path_of(found)).stat().st_size
    return copied


def _copy(value: Any) -> Any:
    match value:
        case dict():
            return {name: _copy(entry) for name, entry in value.items()}
        case list():
            return [_copy(entry) for entry in value]
    return value


def bytes_moved(planned: Planned) -> float:
    """Between sites that do not see the same files."""
    names, data = [site.name for site in planned.problem.sites], planned.problem.data
    apart = planned.terms.links
    moved = planned.plan.transfers
    return math.fsum(data[one.data].size_bytes for one in moved if (names[one.source], names[one.target]) in apart)


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
        case "transfer" if placement.start > AT_ONCE_SECONDS:
            maker = problem.data[placement.waits_for].producer
            return (
                f"waits for the files of {problem.jobs[maker].name}" if maker >= 0 else "waits for its inputs to arrive"
            )
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
        "bytes_moved": bytes_moved(planned),
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
