"""`cwlbalsam simulate DOCUMENT`: when its jobs would be done on loaded batch machines, and at whose cost."""

import math
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.executor.capacity import Machine as Node
from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.pilot_actions import Limits
from cwlbalsam.planner.problem import HOUR
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.campaign import Campaign, Outcome, Rhythm
from cwlbalsam.planner.simulate.jobs import tasks_of
from cwlbalsam.planner.simulate.load import make_load
from cwlbalsam.planner.simulate.others import others_waits
from cwlbalsam.planner.simulate.policies import a_batch_job_a_job, one_batch_job, ours
from cwlbalsam.planner.simulate.situation import Policy
from cwlbalsam.planner.simulate.swf import check_fits
from cwlbalsam.planner.simulate.work import Noise, Task
from cwlbalsam.service.expected import Terms, expect
from cwlbalsam.service.home import find_home
from cwlbalsam.service.inputs import InputSource, check_inputs
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.room import alike
from cwlbalsam.service.run import load
from cwlbalsam.service.simulate import read_log

DAY = 86_400.0
MADE_DAYS = 60.0
AFTER_DAYS = 7.0
"""Others' waits are compared for those who wait at the instant, or come within so many days after it."""
GIVEN_UP_DAYS = 20.0
MOST_QUEUED = 20
LARGE = 0.5
"""Of a machine's nodes, what one large batch job asks for."""
MIDDLE = (0.05, 0.95)
PLENTY = 1 << 40
_MACHINE = re.compile(r"([\w.-]+)=(.*?)(?::(\d+))?", re.ASCII)


class MachineWish(Struct, frozen=True):
    """log: "" for a made-up load. nodes: 0: as the log says."""

    name: str
    log: str
    nodes: int = 0


class Wishes(Struct, frozen=True, kw_only=True):
    """at: seconds from the begin of the logs; None: `instants` at random. share: of a machine, what a made-up load
    asks for. cores: of each node."""

    machines: tuple[MachineWish, ...]
    instants: int = 20
    at: float | None = None
    seed: int = 0
    policy: str = "easy"
    share: float = 0.8
    cores: int = 0


class Result(Struct, frozen=True, kw_only=True):
    """seconds: to solution at each instant, None where it was given up. low, high: 9 of 10 instants lie between, None
    if there is one that never ended.

    first_start, mean_wait: of pilots, medians. node_hours: held, of them wasted, a run in the mean. others_wait: the
    change of others' mean wait, as a share of it.
    """

    policy: str
    seconds: list[float | None]
    median: float | None
    low: float | None
    high: float | None
    first_start: float | None
    mean_wait: float | None
    node_hours: float
    wasted: float
    batch_jobs: float
    others_wait: float


class DocumentSimulation(Struct, frozen=True, kw_only=True):
    """jobs: of the document that take nodes, on so many whole nodes at once at most. notes: what was assumed."""

    document: str
    tasks: int
    node_hours: float
    machines: dict[str, int]
    instants: list[float]
    notes: list[str]
    results: list[Result]


class _Place(Struct):
    machine: Machine
    ends: float


def parse_machine(text: str) -> MachineWish:
    """`NAME=LOG`, `NAME=LOG:NODES`, `NAME=:NODES` without a log. Raises UserError."""
    found = _MACHINE.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise UserError(f"no machine is described by {text!r}", hint="NAME=LOG, NAME=LOG:NODES, or NAME=:NODES")
    return MachineWish(found[1], found[2], int(found[3] or 0))


def simulate_document(
    document: str,
    inputs: InputSource,
    options: RunOptions,
    wishes: Wishes,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> DocumentSimulation:
    """Compile a document, and run its jobs by each policy from the same instants on. Raises UserError."""
    home = find_home(options.home)
    loaded, order, _ = load(document, inputs, options, home)
    check_inputs(loaded.program, order.values, order)
    node = Node(cores=wishes.cores or os.cpu_count() or 1, ram=PLENTY, tmpdir=PLENTY, gpus=1 << 20)
    ground = alike(PLENTY, node, f"simulated, --cores {node.cores:g}")
    expected = expect(loaded.program, order.values, Terms(grounds=(ground,)))
    tasks = tasks_of(expected.problem)
    if not tasks:
        raise UserError(f"{document} has no job that takes a node", hint="an ExpressionTool runs beside the queues")
    spread = max(option.seconds.spread for work in expected.problem.works for option in work.options)
    places = {wish.name: _place(wish, wishes) for wish in wishes.machines}
    widest = max(task.nodes for task in tasks)
    if all(place.machine.nodes < widest for place in places.values()):
        raise UserError(f"a job takes {widest} nodes, which no machine has")
    times = _times(places, wishes)
    outcomes: dict[str, list[tuple[Outcome, float, float]]] = {}
    for number, moment in enumerate(_moments(places, times)):
        progress(number, len(times))
        seed = wishes.seed + number
        for name, found in _compare(tasks, moment, Noise(sigma=spread, failures=0.0, seed=seed)):
            outcomes.setdefault(name, []).append(found)
    progress(len(times), len(times))
    return DocumentSimulation(
        document=document,
        tasks=len(tasks),
        node_hours=sum(task.nodes * task.seconds for task in tasks) / HOUR,
        machines={name: place.machine.nodes for name, place in places.items()},
        instants=times,
        notes=expected.notes,
        results=[_result(name, found) for name, found in outcomes.items()],
    )


def _place(wish: MachineWish, wishes: Wishes) -> _Place:
    """A batch job of ours is no narrower, wider or longer than what somebody else asks for."""
    if wish.log:
        log = read_log(Path(wish.log))
        nodes = wish.nodes or log.nodes
        if not nodes:
            hint = f"use {wish.name}={wish.log}:NODES"
            raise UserError("the log does not say how many nodes the machine has", place=wish.log, hint=hint)
        check_fits(log, nodes, wish.log)
        begin = log.requests[0].submitted
        requests = [_shifted(request, begin) for request in log.requests]
    else:
        nodes = wish.nodes
        if nodes < 2:
            raise UserError(f"machine {wish.name} is too small for a made-up load", hint="it needs 2 nodes or more")
        requests = make_load(nodes, MADE_DAYS, wishes.share, wishes.seed)
    queue = Queue(
        name="batch",
        nodes=nodes,
        min_nodes=min(request.nodes for request in requests),
        max_nodes=max(request.nodes for request in requests),
        max_wall_seconds=max(request.wall_seconds for request in requests),
        max_queued=MOST_QUEUED,
    )
    return _Place(Machine(nodes, wishes.policy, requests, queue), requests[-1].submitted)


def _shifted(request: Request, begin: float) -> Request:
    return Request(request.id, request.nodes, request.wall_seconds, request.submitted - begin, request.seconds)


def _times(places: Mapping[str, _Place], wishes: Wishes) -> list[float]:
    """Seconds from the begin of all logs, within the shortest one."""
    ends = min(place.ends for place in places.values())
    if wishes.at is not None:
        if wishes.at > ends:
            raise UserError(f"the shortest load has ended after {ends / DAY:.1f} days", hint="give an earlier --at")
        return [wishes.at]
    dice = random.Random(wishes.seed)  # noqa: S311 - no secret
    return sorted(dice.uniform(*MIDDLE) * ends for _ in range(wishes.instants))


def _moments(places: Mapping[str, _Place], times: Sequence[float]) -> Iterator[dict[str, Machine]]:
    for time in times:
        for place in places.values():
            place.machine.advance(time)
        yield {name: place.machine.fork() for name, place in places.items()}


def _compare(
    tasks: Sequence[Task], machines: Mapping[str, Machine], noise: Noise
) -> Iterator[tuple[str, tuple[Outcome, float, float]]]:
    """(policy, (outcome, others' mean wait with us and without)), for each."""
    alone = _others({name: machine.fork() for name, machine in machines.items()}, machines)
    plans: list[tuple[str, Policy, dict[int, str]]] = [
        ("cwlbalsam", ours(Limits()), {}),
        ("a batch job a job", a_batch_job_a_job, {}),
    ]
    for site in machines:
        name = "one large batch job" + (f" at {site}" if len(machines) > 1 else "")
        plans.append((name, one_batch_job(LARGE), dict.fromkeys(range(len(tasks)), site)))
    rhythm = Rhythm(longest=GIVEN_UP_DAYS * DAY)
    for name, policy, bound in plans:
        forks = {site: machine.fork() for site, machine in machines.items()}
        outcome = Campaign(forks, tasks, policy, noise, bound=bound, rhythm=rhythm).run()
        yield name, (outcome, _others(forks, machines), alone)


def _others(forks: Mapping[str, Machine], machines: Mapping[str, Machine]) -> float:
    return others_waits(forks, machines, [AFTER_DAYS])[AFTER_DAYS]


def _result(policy: str, found: Sequence[tuple[Outcome, float, float]]) -> Result:
    outcomes = [outcome for outcome, _, _ in found]
    seconds = sorted(outcome.seconds for outcome in outcomes)
    held, useful = sum(one.held for one in outcomes), sum(one.useful for one in outcomes)
    alone = sum(before for _, _, before in found)
    return Result(
        policy=policy,
        seconds=[_finite(outcome.seconds) for outcome in outcomes],
        median=_finite(median(seconds)),
        low=_finite(_quantile(seconds, 0.05)),
        high=_finite(_quantile(seconds, 0.95)),
        first_start=_finite(median(outcome.first for outcome in outcomes)),
        mean_wait=_finite(median(outcome.waited for outcome in outcomes)),
        node_hours=held / HOUR / len(outcomes),
        wasted=1 - useful / held if held else 0.0,
        batch_jobs=fmean(outcome.pilots for outcome in outcomes),
        others_wait=sum(after for _, after, _ in found) / alone - 1 if alone else 0.0,
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between neighbours by their distance."""
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else low + (high - low) * (place % 1)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
