"""How many nodes to ask a batch system for, as long as no plan says more: what waits, divided by what a node has."""

import math
from collections.abc import Sequence

from msgspec import Struct


class Demand(Struct, frozen=True, kw_only=True):
    """What waits for nodes. cores: of all tasks together. widest: nodes of the largest task."""

    cores: float = 0.0
    tasks: int = 0
    widest: int = 0


class PilotLimits(Struct, frozen=True, kw_only=True):
    """pilots, nodes: at once, of one user's agent. wall_seconds: of each pilot."""

    pilots: int = 4
    nodes: int = 4
    nodes_per_pilot: int = 0  # 0: as many as `nodes`
    wall_seconds: float = 3600.0
    idle_seconds: float = 60.0


class PilotView(Struct, frozen=True, kw_only=True):
    """A pilot that was asked for. nodes: asked for, or up. running: its launcher has called."""

    nodes: int
    running: bool = False


def nodes_to_ask(
    demand: Demand, pilots: Sequence[PilotView], limits: PilotLimits, cores_per_node: float
) -> tuple[int, ...]:
    """Nodes of each pilot to submit now."""
    if not demand.tasks or len(pilots) >= limits.pilots:
        return ()
    most = limits.nodes_per_pilot or limits.nodes
    there = sum(pilot.nodes for pilot in pilots)
    coming = sum(pilot.nodes for pilot in pilots if not pilot.running)
    needed = math.ceil(demand.cores / max(cores_per_node, 1.0)) - coming
    widest_there = max((pilot.nodes for pilot in pilots), default=0)
    if demand.widest > widest_there:
        needed = max(needed, demand.widest)
    nodes = min(needed, most, limits.nodes - there)
    if demand.widest > widest_there and nodes < demand.widest and demand.cores <= there * cores_per_node:
        return ()  # it waits until others have left
    return (nodes,) if nodes > 0 else ()
