"""What people do today to get work through the queues of several machines, each as a policy of the simulator."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from math import inf

import msgspec

from cwlbalsam.jobs.batch import MachineState, Queue
from cwlbalsam.planner.packing import Demand, node_seconds
from cwlbalsam.planner.pilot_actions import Action, Cancel, Kind, Limits, Submit
from cwlbalsam.planner.pilots import decide
from cwlbalsam.planner.queues.profile import windows
from cwlbalsam.planner.simulate.campaign import Policy, Situation
from cwlbalsam.planner.simulate.work import Task, upward_ranks

MARGIN = 1.3
"""Wall time asked for, by the time that the work takes on so many nodes at best."""
BALSAM_PATIENCE = 600.0


def ours(limits: Limits) -> Policy:
    def policy(seen: Situation) -> Sequence[Action]:
        return decide(seen.now, seen.backlog.get("", []), seen.machines, seen.pilots, limits, seen.failed)

    return policy


def only(site: str, policy: Policy) -> Policy:
    """The same policy, which knows of one site alone."""

    def narrow(seen: Situation) -> Sequence[Action]:
        return policy(msgspec.structs.replace(seen, machines={site: seen.machines[site]}))

    return narrow


def one_batch_job(share: float) -> Policy:
    """For all that is bound to a site, one batch job of this share of its nodes; another when that was not enough."""

    def policy(seen: Situation) -> Sequence[Action]:
        actions: list[Action] = []
        for site, demands in seen.backlog.items():
            if site and not any(pilot.site == site for pilot in seen.pilots):
                actions.append(_bundle(site, seen.machines[site], demands, share))
        return actions

    return policy


def _bundle(site: str, machine: MachineState, demands: Sequence[Demand], share: float) -> Submit:
    """No more nodes than the jobs that are ready can use."""
    queue = machine.queues[0]
    usable = sum(demand.nodes * demand.count for demand in demands)
    nodes = min(max(math.ceil(share * machine.nodes), *(demand.nodes for demand in demands)), usable)
    nodes = min(max(nodes, queue.min_nodes), queue.max_nodes)
    longest = max(demand.most_seconds for demand in demands)
    wall = max(node_seconds(demands) / nodes, longest) * MARGIN + 60
    return _ask(site, queue, nodes, wall)


def a_batch_job_a_job(seen: Situation) -> Sequence[Action]:
    """To the site where the fewest of ours are, as many as it lets one user have."""
    count = {site: sum(pilot.site == site for pilot in seen.pilots) for site in seen.machines}
    waiting = sum(not pilot.started for pilot in seen.pilots)
    actions: list[Action] = []
    for demand in seen.backlog.get("", []):
        for _ in range(demand.count):
            if waiting:  # they are meant for the first ones
                waiting -= 1
                continue
            site = min(count, key=lambda name: count[name] / seen.machines[name].queues[0].max_queued)
            queue = seen.machines[site].queues[0]
            if count[site] >= queue.max_queued:
                return actions
            count[site] += 1
            actions.append(_ask(site, queue, max(demand.nodes, queue.min_nodes), demand.most_seconds + 60))
    return actions


def largest_window(seen: Situation) -> Sequence[Action]:
    """Balsam's elastic queue: each minute a batch job as large as the largest window, cancelled after ten minutes."""
    actions: list[Action] = [
        Cancel(pilot=pilot.id, reason="too long in the queue")
        for pilot in seen.pilots
        if not pilot.started and seen.now - pilot.submitted >= BALSAM_PATIENCE
    ]
    demands = seen.backlog.get("", [])
    if not demands:
        return actions
    shortest = min(demand.most_seconds for demand in demands) + 60
    for site, machine in seen.machines.items():
        queue = machine.queues[0]
        if sum(pilot.site == site for pilot in seen.pilots) >= queue.max_queued:
            continue
        holes = [(hole.nodes, min(hole.seconds, 4 * 3600.0)) for hole in windows(machine)]
        holes = [(nodes, seconds) for nodes, seconds in holes if seconds >= shortest]
        if holes:
            nodes, seconds = max(holes, key=lambda hole: hole[0] * hole[1])
            actions.append(_ask(site, queue, nodes, seconds))
    return actions


def bind_at_random(tasks: Sequence[Task], sites: Mapping[str, Queue], seed: int) -> dict[int, str]:
    dice = random.Random(seed)  # noqa: S311 - no secret
    return {number: dice.choice(list(sites)) for number in range(len(tasks))}


def bind_in_turn(tasks: Sequence[Task], sites: Mapping[str, Queue], _: int) -> dict[int, str]:
    return dict(zip(range(len(tasks)), cycle(sites), strict=False))


def bind_by_heft(tasks: Sequence[Task], sites: Mapping[str, Queue], _: int) -> dict[int, str]:
    """Earliest finish over all nodes of all sites, as if all were free: upward ranks, in that order to the site."""
    ranks = upward_ranks(tasks)
    free = {site: [0.0] * queue.nodes for site, queue in sites.items()}  # sorted: when each node is free
    ends = [0.0] * len(tasks)
    bound = {}
    for number in sorted(range(len(tasks)), key=lambda one: (-ranks[one], one)):
        task = tasks[number]
        ready = max((ends[parent] for parent in task.parents), default=0.0)
        starts = {
            site: max(ready, nodes[task.nodes - 1]) if task.nodes <= len(nodes) else inf for site, nodes in free.items()
        }
        site = min(starts, key=starts.__getitem__)
        bound[number] = site
        ends[number] = starts[site] + task.seconds
        free[site] = sorted([*free[site][task.nodes :], *[ends[number]] * task.nodes])
    return bound


Binding = Callable[[Sequence[Task], Mapping[str, Queue], int], dict[int, str]]


def _ask(site: str, queue: Queue, nodes: int, wall_seconds: float) -> Submit:
    wall = min(wall_seconds, queue.max_wall_seconds)
    return Submit(site=site, queue=queue.name, kind=Kind.LINE, nodes=nodes, wall_seconds=wall, reason="")
