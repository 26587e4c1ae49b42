"""How well do jobs fill so many nodes for so long?"""

import heapq
import math
from collections.abc import Sequence

import msgspec
from msgspec import Struct


class Demand(Struct, frozen=True, kw_only=True):
    """Jobs that are alike and ready. seconds: expected of each; most_seconds: hardly ever exceeded."""

    nodes: int
    seconds: float
    most_seconds: float
    count: int = 1


class Packing(Struct, frozen=True):
    """What was packed: wall time that it needs at most, expected time, node-seconds of work, and what is left over."""

    wall_seconds: float
    seconds: float
    node_seconds: float
    jobs: int
    left: tuple[Demand, ...]

    def share(self, nodes: int) -> float:
        """Of the node-seconds that are held, the part that works."""
        return self.node_seconds / (nodes * self.seconds) if self.jobs else 0.0


def pack(nodes: int, wall_seconds: float, demands: Sequence[Demand]) -> Packing:
    """List schedule, longest first, of what is sure to end in time.

    demands: sorted by `order`. Times pass as expected; whether a job may start is decided by its most_seconds.
    """
    left = [demand.count for demand in demands]
    ends: list[tuple[float, int]] = []
    now, free, wall, last, work, jobs = 0.0, nodes, 0.0, 0.0, 0.0, 0
    while True:
        for index, demand in enumerate(demands):
            if not left[index] or demand.nodes > free or now + demand.most_seconds > wall_seconds:
                continue
            count = min(left[index], free // demand.nodes)
            left[index] -= count
            free -= count * demand.nodes
            heapq.heappush(ends, (now + demand.seconds, count * demand.nodes))
            wall = max(wall, now + demand.most_seconds)
            last = max(last, now + demand.seconds)
            work += count * demand.nodes * demand.seconds
            jobs += count
            if not free:
                break
        if not ends:
            break
        now, released = heapq.heappop(ends)
        free += released
    rest = tuple(
        demand if demand.count == count else msgspec.structs.replace(demand, count=count)
        for demand, count in zip(demands, left, strict=True)
        if count
    )
    return Packing(wall, last, work, jobs, rest)


PLENTY, FULL = 3.0, 0.95


def fill(nodes: int, wall_seconds: float, demands: Sequence[Demand]) -> Packing:
    """Like `pack`; but if there is plenty of work that fits, by its sum, as some of every kind.

    List schedules of several rounds of jobs with short ones among them leave less than 5 % idle: FULL.
    """
    fitting = [demand for demand in demands if demand.nodes <= nodes and demand.most_seconds <= wall_seconds]
    whole, room = node_seconds(fitting), nodes * wall_seconds
    if not fitting or whole < PLENTY * room or wall_seconds < 2 * fitting[0].most_seconds:
        return pack(nodes, wall_seconds, demands)
    left: list[Demand] = []
    jobs = 0
    for demand in demands:
        taken = 0
        if demand.nodes <= nodes and demand.most_seconds <= wall_seconds:
            taken = math.floor(demand.count * room * FULL / whole)
        jobs += taken
        left.append(msgspec.structs.replace(demand, count=demand.count - taken) if taken else demand)
    if not jobs:
        return pack(nodes, wall_seconds, demands)
    return Packing(wall_seconds, wall_seconds, room * FULL, jobs, tuple(left))


def order(demands: Sequence[Demand]) -> list[Demand]:
    """Longest first, of equally long ones the widest."""
    return sorted(demands, key=lambda demand: (-demand.most_seconds, -demand.nodes))


def node_seconds(demands: Sequence[Demand]) -> float:
    return sum(demand.count * demand.nodes * demand.seconds for demand in demands)


def without(demands: Sequence[Demand], taken: float) -> list[Demand]:
    """What is left when others take so many node-seconds, some of every kind."""
    whole = node_seconds(demands)
    if taken <= 0 or not whole:
        return list(demands)
    share = max(0.0, 1 - taken / whole)
    counts = (math.ceil(demand.count * share) if share else 0 for demand in demands)
    return [
        msgspec.structs.replace(demand, count=count) for demand, count in zip(demands, counts, strict=True) if count
    ]


class Shape(Struct, frozen=True):
    """A pilot, and what goes into it."""

    nodes: int
    wall_seconds: float
    packing: Packing


NARROWER = (1.0, 0.7, 0.5, 0.35, 0.2, 0.1)
SHORTER = (1.0, 0.5, 0.25)


class Thrift(Struct, frozen=True, kw_only=True):
    """When a pilot is worth its nodes. useful: least share of them that works, but for `spare` node-seconds.

    start_seconds: of a launcher, from the pilot's start to its first job; no job works until then.
    """

    useful: float = 0.9
    spare: float = 3600.0
    start_seconds: float = 60.0

    def allows(self, nodes: int, packing: Packing) -> bool:
        held = nodes * (packing.seconds + self.start_seconds)
        return packing.jobs > 0 and packing.node_seconds + self.spare >= self.useful * held


def best_shape(nodes: int, seconds: float, demands: Sequence[Demand], least_nodes: int, thrift: Thrift) -> Shape | None:
    """The pilot within so many nodes and seconds that does the most work.

    Its wall time is what the jobs in it need, not all that there is.
    """
    best: Shape | None = None
    for shorter in SHORTER:
        room = seconds * shorter - thrift.start_seconds
        for width in _widths(nodes, room, demands, least_nodes):
            if best and width * room <= best.packing.node_seconds:
                break
            packing = fill(width, room, demands)
            more = best is None or packing.node_seconds > best.packing.node_seconds
            if more and thrift.allows(width, packing):
                best = Shape(width, packing.wall_seconds + thrift.start_seconds, packing)
    return best


def _widths(nodes: int, room: float, demands: Sequence[Demand], least_nodes: int) -> list[int]:
    """How many nodes to try, most first: parts of what jobs can use, and as many as all together keep busy."""
    fitting = [demand for demand in demands if demand.nodes <= nodes and demand.most_seconds <= room]
    if not fitting:
        return []
    most = min(nodes, sum(demand.nodes * demand.count for demand in fitting))
    widths = {math.ceil(most * part) for part in NARROWER}
    longest = max(demand.seconds for demand in fitting)
    widths.add(min(most, max(math.ceil(node_seconds(fitting) / longest), *(demand.nodes for demand in fitting))))
    return sorted({width for width in (max(least_nodes, width) for width in widths) if width <= nodes}, reverse=True)
