"""Time to solution over several sites with queues, by our policy of pilots and by what others do."""

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from msgspec import Struct

from benchmarks.planner import rivals
from benchmarks.planner.page import Cell, Page
from benchmarks.planner.workloads import make_ensemble, read_workflow
from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.pilots import Limits
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.campaign import Campaign, Outcome, Policy
from cwlbalsam.planner.simulate.load import make_load
from cwlbalsam.planner.simulate.work import Noise, Task
from cwlbalsam.service.simulate import read_log

INSTANTS = 50
NODE_HOURS = 20_000
DAYS = 340
AFTER_SECONDS = 7 * 86_400.0
"""Others' waits are compared for those who wait at the instant, or come within so long after it."""
MOST_QUEUED = 20
SHARES = (0.125, 0.25, 0.5)
OURS = "ours"
COLUMNS = [
    "work",
    "policy",
    "median h",
    "mean h",
    "x ours",
    "median of x ours",
    "wasted",
    "others' wait",
    "pilots",
    "cancelled",
]
NOTES = ["..."]


class Run(Struct):
    """One campaign. others: the mean wait of the other users by what it is without us."""

    work: str
    policy: str
    instant: int
    outcome: Outcome
    others: tuple[float, float]


class Site(Struct):
    nodes: int
    load: Sequence[Request]
    queue: Queue


def measure(data: Path, instants: int = INSTANTS) -> Page:
    sites = _sites(data)
    workflows = sorted((data / "wfinstances").glob("*.json"))
    runs: list[Run] = []
    for number, machines in enumerate(_moments(sites, instants)):
        print(f"instant {number + 1} of {instants}", file=sys.stderr)
        workflow = read_workflow(workflows[number % len(workflows)])
        ensemble = make_ensemble(NODE_HOURS, number)
        for name, tasks in (("ensemble", ensemble), ("workflow", workflow)):
            runs += _compare(name, tasks, machines, number)
    return _page(runs)


def _sites(data: Path) -> dict[str, Site]:
    """Limits are what the logs show: the narrowest, widest and longest batch job that anybody asked for."""
    sites = {}
    for name, file, nodes in (("theta", "swf/ALCF-Theta-2022.swf.gz", 4360), ("kth", "swf/KTH-SP2-1996.swf.gz", 100)):
        load = read_log(data / file).requests
        begin = load[0].submitted
        sites[name] = _site(nodes, [_shifted(request, begin) for request in load])
    sites["made"] = _site(1024, make_load(1024, DAYS, 0.8))
    return sites


def _site(nodes: int, load: Sequence[Request]) -> Site:
    queue = Queue(
        name="batch",
        nodes=nodes,
        min_nodes=min(request.nodes for request in load),
        max_nodes=max(request.nodes for request in load),
        max_wall_seconds=max(request.wall_seconds for request in load),
        max_queued=MOST_QUEUED,
    )
    return Site(nodes, load, queue)


def _shifted(request: Request, begin: float) -> Request:
    return Request(request.id, request.nodes, request.wall_seconds, request.submitted - begin, request.seconds)


def _moments(sites: Mapping[str, Site], count: int) -> list[dict[str, Machine]]:
    """The machines at so many instants, drawn from the middle nine tenths of the year."""
    dice = random.Random(7)  # noqa: S311 - no secret
    times = sorted(dice.uniform(0.05, 0.95) * DAYS * 86_400 for _ in range(count))
    machines = {name: Machine(site.nodes, "easy", site.load, site.queue) for name, site in sites.items()}
    moments = []
    for time in times:
        for machine in machines.values():
            machine.advance(time)
        moments.append({name: machine.fork() for name, machine in machines.items()})
    return moments


def _compare(work: str, tasks: Sequence[Task], machines: Mapping[str, Machine], instant: int) -> list[Run]:
    queues = {name: machine.queue for name, machine in machines.items()}
    alone = _waits({name: machine.fork() for name, machine in machines.items()}, machines)
    plans: dict[str, tuple[Policy, Mapping[int, str] | None]] = {
        OURS: (rivals.ours(Limits()), None),
        "a batch job a job": (rivals.a_batch_job_a_job, None),
        "largest window (Balsam)": (rivals.largest_window, None),
        "HEFT without queues": (rivals.one_batch_job(0.25), rivals.bind_by_heft(tasks, queues, instant)),
        "random": (rivals.one_batch_job(0.25), rivals.bind_at_random(tasks, queues, instant)),
        "round robin": (rivals.one_batch_job(0.25), rivals.bind_in_turn(tasks, queues, instant)),
    }
    for site in queues:
        plans[f"only {site}, a batch job a job"] = rivals.only(site, rivals.a_batch_job_a_job), None
        for share in SHARES:
            plans[f"one batch job, {share:g} of {site}"] = (
                rivals.one_batch_job(share),
                dict.fromkeys(range(len(tasks)), site),
            )
    runs = []
    for name, (policy, bound) in plans.items():
        forks = {site: machine.fork() for site, machine in machines.items()}
        campaign = Campaign(forks, tasks, policy, Noise(seed=instant), bound=bound)
        outcome = campaign.run()
        with_us = _waits(forks, machines)
        runs.append(Run(work, name, instant, outcome, (with_us, alone)))
    return runs


def _waits(forks: Mapping[str, Machine], machines: Mapping[str, Machine]) -> float:
    """The mean wait of others: those who wait at the instant, and who come within AFTER_SECONDS of it."""
    waits = []
    for name, fork in forks.items():
        others = [*machines[name].rules.queue, *machines[name].coming(AFTER_SECONDS)]
        while not all(request.id in fork.starts for request in others):
            fork.advance(max(fork.next_time(), fork.now + 86_400))
        waits += [fork.starts[request.id] - request.submitted for request in others]
    return fmean(waits)


def _page(runs: Sequence[Run]) -> Page:
    rows: list[list[Cell]] = []
    for work in dict.fromkeys(run.work for run in runs):
        ours = {run.instant: run.outcome.seconds for run in runs if (run.work, run.policy) == (work, OURS)}
        for policy in dict.fromkeys(run.policy for run in runs):
            rows.append(_row(work, policy, [run for run in runs if (run.work, run.policy) == (work, policy)], ours))
    return Page(
        title="Time to solution over three sites with queues", columns=COLUMNS, rows=rows, notes=NOTES, details=runs
    )


def _row(work: str, policy: str, runs: Sequence[Run], ours: Mapping[int, float]) -> list[Cell]:
    seconds = [run.outcome.seconds for run in runs]
    held = sum(run.outcome.held for run in runs)
    without, others = (sum(run.others[side] for run in runs) for side in (1, 0))
    return [
        work,
        policy,
        median(seconds) / 3600,
        fmean(seconds) / 3600,
        median(seconds) / median(ours.values()),
        median(run.outcome.seconds / ours[run.instant] for run in runs),
        f"{1 - sum(run.outcome.useful for run in runs) / held:.1%}",
        f"{others / without - 1:+.1%}",
        fmean(run.outcome.pilots for run in runs),
        fmean(run.outcome.cancelled for run in runs),
    ]
