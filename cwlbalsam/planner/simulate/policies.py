"""Policies for campaigns: ours, and what people do without one."""

import math
from collections.abc import Sequence

from cwlbalsam.jobs.batch import MachineState, Queue
from cwlbalsam.planner.packing import Demand, node_seconds
from cwlbalsam.planner.pilot_actions import Action, Kind, Limits, Submit
from cwlbalsam.planner.pilots import decide
from cwlbalsam.planner.simulate.situation import Policy, Situation

MARGIN = 1.3
"""Wall time asked for, by the time that the work takes on so many nodes at best."""


def ours(limits: Limits) -> Policy:
    def policy(seen: Situation) -> Sequence[Action]:
        return decide(seen.now, seen.backlog.get("", []), seen.machines, seen.pilots, limits, seen.failed)

    return policy


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
    return ask_for(site, queue, nodes, wall)


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
            actions.append(ask_for(site, queue, max(demand.nodes, queue.min_nodes), demand.most_seconds + 60))
    return actions


def ask_for(site: str, queue: Queue, nodes: int, wall_seconds: float) -> Submit:
    wall = min(wall_seconds, queue.max_wall_seconds)
    return Submit(site=site, queue=queue.name, kind=Kind.LINE, nodes=nodes, wall_seconds=wall, reason="")
