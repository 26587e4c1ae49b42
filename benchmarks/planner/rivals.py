"""What people do today to get work through the queues of several machines, each as a policy of the simulator."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from math import inf

import msgspec

from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.pilot_actions import Action, Cancel
from cwlbalsam.planner.queues.profile import windows
from cwlbalsam.planner.simulate.policies import ask_for
from cwlbalsam.planner.simulate.situation import Policy, Situation
from cwlbalsam.planner.simulate.work import Task, upward_ranks

BALSAM_PATIENCE = 600.0


def only(site: str, policy: Policy) -> Policy:
    """The same policy, which knows of one site alone."""

    def narrow(seen: Situation) -> Sequence[Action]:
        return policy(msgspec.structs.replace(seen, machines={site: seen.machines[site]}))

    return narrow


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
            actions.append(ask_for(site, queue, nodes, seconds))
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
