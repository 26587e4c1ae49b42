"""What waits for nodes, as the planner packs it: jobs that take whole nodes for some time."""

import math
from collections.abc import Iterable

from cwlbalsam.executor.dispatch import Waiting
from cwlbalsam.executor.site_limits import SiteLimits
from cwlbalsam.planner.packing import Demand, order

START_SECONDS = 10.0
"""Of a launcher and the workers of its nodes."""


def start_seconds(wall_seconds: float) -> float:
    """Of a pilot's time, what goes by before its first job: never more than a tenth of it."""
    return min(START_SECONDS, wall_seconds / 10)


def demands_of(waiting: Iterable[Waiting], limits: SiteLimits) -> list[Demand]:
    """What shares a node counts together, the longest first.

    A task without a time limit may take all of a pilot, and is expected to take half of it as long as none of its grant
    has ended.
    """
    whole = limits.pilots.wall_seconds - start_seconds(limits.pilots.wall_seconds)
    found: list[Demand] = []
    shared = 0.0
    for alike in sorted(waiting, key=lambda alike: -(alike.wall_seconds or math.inf)):
        most = min(alike.wall_seconds or whole, whole)
        seconds = min(alike.seconds or most / 2, most)
        nodes = limits.nodes_of(alike.grant) if alike.grant.is_wide else 1
        count = alike.count
        if nodes == 1:
            before = math.ceil(shared)
            shared += count * (1.0 if alike.grant.nodes else min(limits.share_of_node(alike.grant), 1.0))
            count = math.ceil(round(shared, 6)) - before
        if count > 0:
            found.append(Demand(nodes=nodes, seconds=seconds, most_seconds=most, count=count))
    return order(found)
