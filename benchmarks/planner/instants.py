"""Campaigns that begin at an instant of recorded loads, by each policy."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.planner import rivals
from benchmarks.planner.workloads import make_ensemble, read_workflow
from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.pilot_actions import Limits
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate import policies
from cwlbalsam.planner.simulate.campaign import Campaign, Outcome, Rhythm
from cwlbalsam.planner.simulate.load import make_load
from cwlbalsam.planner.simulate.others import others_waits
from cwlbalsam.planner.simulate.situation import Policy
from cwlbalsam.planner.simulate.work import Noise, Task
from cwlbalsam.service.simulate import read_log

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


def compare_at(number: int, machines: Mapping[str, Machine], workflow: Path) -> list[Run]:
    """All policies with an ensemble and with this workflow."""
    works = {"ensemble": make_ensemble(NODE_HOURS, number), "workflow": read_workflow(workflow)}
    alone = others_waits({name: machine.fork() for name, machine in machines.items()}, machines, AFTER_DAYS)
    return [run for name, tasks in works.items() for run in _compare(name, tasks, machines, number, alone)]


def read_sites(data: Path) -> dict[str, Site]:
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


def moments_of(sites: Mapping[str, Site], count: int) -> list[dict[str, Machine]]:
    """The machines at so many instants, drawn from the middle nine tenths of the year."""
    dice = random.Random(7)  # noqa: S311 - no secret
    times = sorted(dice.uniform(0.05, 0.95) * DAYS * 86_400 for _ in range(count))
    machines = {name: Machine(site.nodes, "easy", site.load, site.queue) for name, site in sites.items()}
    moments = []
    for moment in times:
        for machine in machines.values():
            machine.advance(moment)
        moments.append({name: machine.fork() for name, machine in machines.items()})
    return moments


def _plans(
    tasks: Sequence[Task], queues: Mapping[str, Queue], seed: int
) -> dict[str, tuple[Policy, Mapping[int, str] | None]]:
    """Policies by name, with the sites to which they bind the tasks, if they do."""
    plans: dict[str, tuple[Policy, Mapping[int, str] | None]] = {
        OURS: (policies.ours(Limits()), None),
        "a batch job a job": (policies.a_batch_job_a_job, None),
        "largest window (Balsam)": (rivals.largest_window, None),
        "HEFT without queues": (policies.one_batch_job(0.5), rivals.bind_by_heft(tasks, queues, seed)),
        "random": (policies.one_batch_job(0.5), rivals.bind_at_random(tasks, queues, seed)),
        "round robin": (policies.one_batch_job(0.5), rivals.bind_in_turn(tasks, queues, seed)),
    }
    work = sum(task.nodes * task.seconds for task in tasks)
    for site, queue in queues.items():
        if work > HOPELESS_SECONDS * queue.nodes:
            continue
        there = dict.fromkeys(range(len(tasks)), site)
        plans[f"{site} alone, a batch job a job"] = rivals.only(site, policies.a_batch_job_a_job), None
        for share in SHARES:
            plans[f"one large batch job, {share:g} of {site}"] = policies.one_batch_job(share), there
    return plans


def _compare(
    work: str, tasks: Sequence[Task], machines: Mapping[str, Machine], instant: int, alone: Mapping[float, float]
) -> list[Run]:
    queues = {name: machine.queue for name, machine in machines.items()}
    runs = []
    for name, (policy, bound) in _plans(tasks, queues, instant).items():
        forks = {site: machine.fork() for site, machine in machines.items()}
        outcome = Campaign(forks, tasks, policy, Noise(seed=instant), bound=bound, rhythm=RHYTHM).run()
        runs.append(Run(work, name, instant, outcome, others_waits(forks, machines, AFTER_DAYS), alone))
    return runs
