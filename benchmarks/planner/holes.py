"""Time to solution over several sites with queues, by our policy of pilots and by what others do."""

import multiprocessing
import os
import random
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import inf
from pathlib import Path
from statistics import fmean, median

from msgspec import Struct

from benchmarks.planner import rivals
from benchmarks.planner.page import Cell, Page, measured
from benchmarks.planner.workloads import make_ensemble, read_workflow
from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.pilot_actions import Limits
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.campaign import Campaign, Outcome, Policy, Rhythm
from cwlbalsam.planner.simulate.load import make_load
from cwlbalsam.planner.simulate.work import Noise, Task
from cwlbalsam.service.simulate import read_log

INSTANTS = 50
NODE_HOURS = 20_000
DAYS = 340
AFTER_DAYS = (7.0, 30.0)
"""Others' waits are compared for those who wait at the instant, or come within so many days after it."""
HOPELESS_SECONDS = 5 * 86_400.0
"""A site that would need so long for the work, were it empty, is not tried alone."""
RHYTHM = Rhythm(longest=20 * 86_400.0)
MOST_QUEUED = 20
SHARES = (0.25, 0.5, 1.0)
OURS = "ours"
COLUMNS = [
    "work",
    "policy",
    "median h",
    "mean h",
    "x ours",
    "median of x ours",
    "wasted",
    "others, 7 d",
    "others, 30 d",
    "pilots",
    "cancelled",
]
NOTES = [
    "50 instants of Theta's and KTH-SP2's year and of a made-up one (1,024 nodes, 80 % load), replayed under EASY;"
    " at each, an ensemble of 20,000 node-hours (jobs of 1-64 nodes, 5-60 minutes) and one of 12 recorded workflows",
    "at every site 20 batch jobs of ours at most; sizes and times within what the log shows that others asked for"
    " (Theta: 128 nodes at least)",
    "run times differ from what is expected by 10 % (log-normal), 1 % of the attempts fail; no transfers",
    "those that bind jobs to sites (HEFT, random, round robin) ask for one batch job of half of each site, and for"
    " another when that was not enough; *a batch job a job* goes where the fewest of ours are; a site alone is left out"
    " where it would need more than 5 days were it empty",
    "holes are known exactly here, as the replayed rules are the machine's own: no probe fails",
    "*x ours*: ratio of the medians; *median of x ours*: of the ratios at each instant; *wasted*: of the node-hours"
    " held, those that ended in no result; *others*: change of the mean wait of all other users' batch jobs that were"
    " waiting at the instant or came within so many days after it; a run is given up after 20 days",
]


class Run(Struct):
    """One campaign. others, alone: the mean wait of the other users with and without us, by days."""

    work: str
    policy: str
    instant: int
    outcome: Outcome
    others: Mapping[float, float]
    alone: Mapping[float, float]


class Site(Struct):
    nodes: int
    load: Sequence[Request]
    queue: Queue


def measure(data: Path, instants: int = INSTANTS) -> Page:
    sites = _sites(data)
    workflows = sorted((data / "wfinstances").glob("*.json"))
    cases = [
        (number, machines, workflows[number % len(workflows)])
        for number, machines in enumerate(_moments(sites, instants))
    ]
    runs: list[Run] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("fork")) as pool:
        for found in pool.map(_instant, cases):
            runs += found
            print(f"instant {found[0].instant + 1} of {instants}", file=sys.stderr, flush=True)
    return _page(runs)


def _instant(case: tuple[int, Mapping[str, Machine], Path]) -> list[Run]:
    number, machines, workflow = case
    works = {"ensemble": make_ensemble(NODE_HOURS, number), "workflow": read_workflow(workflow)}
    alone = _waits({name: machine.fork() for name, machine in machines.items()}, machines)
    return [run for name, tasks in works.items() for run in _compare(name, tasks, machines, number, alone)]


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


def _plans(
    tasks: Sequence[Task], queues: Mapping[str, Queue], seed: int
) -> dict[str, tuple[Policy, Mapping[int, str] | None]]:
    """Policies by name, with the sites to which they bind the tasks, if they do."""
    plans: dict[str, tuple[Policy, Mapping[int, str] | None]] = {
        OURS: (rivals.ours(Limits()), None),
        "a batch job a job": (rivals.a_batch_job_a_job, None),
        "largest window (Balsam)": (rivals.largest_window, None),
        "HEFT without queues": (rivals.one_batch_job(0.5), rivals.bind_by_heft(tasks, queues, seed)),
        "random": (rivals.one_batch_job(0.5), rivals.bind_at_random(tasks, queues, seed)),
        "round robin": (rivals.one_batch_job(0.5), rivals.bind_in_turn(tasks, queues, seed)),
    }
    work = sum(task.nodes * task.seconds for task in tasks)
    for site, queue in queues.items():
        if work > HOPELESS_SECONDS * queue.nodes:
            continue
        there = dict.fromkeys(range(len(tasks)), site)
        plans[f"{site} alone, a batch job a job"] = rivals.only(site, rivals.a_batch_job_a_job), None
        for share in SHARES:
            plans[f"one large batch job, {share:g} of {site}"] = rivals.one_batch_job(share), there
    return plans


def _compare(
    work: str, tasks: Sequence[Task], machines: Mapping[str, Machine], instant: int, alone: Mapping[float, float]
) -> list[Run]:
    queues = {name: machine.queue for name, machine in machines.items()}
    runs = []
    for name, (policy, bound) in _plans(tasks, queues, instant).items():
        forks = {site: machine.fork() for site, machine in machines.items()}
        outcome = Campaign(forks, tasks, policy, Noise(seed=instant), bound=bound, rhythm=RHYTHM).run()
        runs.append(Run(work, name, instant, outcome, _waits(forks, machines), alone))
    return runs


def _waits(forks: Mapping[str, Machine], machines: Mapping[str, Machine]) -> dict[float, float]:
    """The mean wait of others, those who wait at the instant and who come within so many days after it, by days."""
    sums = dict.fromkeys(AFTER_DAYS, 0.0)
    counts = dict.fromkeys(AFTER_DAYS, 0)
    for name, fork in forks.items():
        before = machines[name]
        everybody = [*before.rules.queue, *before.coming(max(AFTER_DAYS) * 86_400)]
        while not all(request.id in fork.starts for request in everybody):
            fork.advance(max(fork.next_time(), fork.now + 86_400))
        for request in everybody:
            for days in AFTER_DAYS:
                if request.submitted <= before.now + days * 86_400:
                    sums[days] += fork.starts[request.id] - request.submitted
                    counts[days] += 1
    return {days: sums[days] / counts[days] for days in AFTER_DAYS}


def _page(runs: Sequence[Run]) -> Page:
    rows: list[list[Cell]] = []
    for work in dict.fromkeys(run.work for run in runs):
        ours = {run.instant: run.outcome.seconds for run in runs if (run.work, run.policy) == (work, OURS)}
        for policy in dict.fromkeys(run.policy for run in runs if run.work == work):
            rows.append(_row(work, policy, [run for run in runs if (run.work, run.policy) == (work, policy)], ours))
    details: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        details.setdefault(run.work, {}).setdefault(run.policy, []).append(round(run.outcome.seconds, 1))
    return Page(
        title="Time to solution over three sites with queues", columns=COLUMNS, rows=rows, notes=NOTES, details=details
    )


def _row(work: str, policy: str, runs: Sequence[Run], ours: Mapping[int, float]) -> list[Cell]:
    seconds = [run.outcome.seconds for run in runs]
    held = sum(run.outcome.held for run in runs)
    change = [sum(run.others[days] for run in runs) / sum(run.alone[days] for run in runs) - 1 for days in AFTER_DAYS]
    return [
        work,
        policy,
        median(seconds) / 3600,
        fmean(seconds) / 3600 if max(seconds) < inf else "not all ended",
        median(seconds) / median(ours.values()),
        median(run.outcome.seconds / ours[run.instant] for run in runs),
        f"{1 - sum(run.outcome.useful for run in runs) / held:.1%}",
        *(f"{share:+.1%}" for share in change),
        fmean(run.outcome.pilots for run in runs),
        fmean(run.outcome.cancelled for run in runs),
    ]


main = measured("holes", measure)
