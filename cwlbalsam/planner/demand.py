"""How many nodes to ask a batch system for, as long as no plan says more: what waits, divided by what a node has."""

import math
from collections.abc import Sequence

from msgspec import Struct


class Demand(Struct, frozen=True, kw_only=True):
    """What waits for nodes. cores: of all tasks that fit on one, together. widest: nodes of the largest MPI job."""

    cores: float = 0.0
    tasks: int = 0
    widest: int = 0


class PilotLimits(Struct, frozen=True, kw_only=True):
    """pilots, nodes: at once, of one user's agent; least: pilots, even when nothing waits. wall_seconds: of each."""

    least: int = 0
    pilots: int = 4
    nodes: int = 4
    nodes_per_pilot: int = 4
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
    if len(pilots) >= limits.pilots:
        return ()
    room = min(limits.nodes_per_pilot, limits.nodes - sum(pilot.nodes for pilot in pilots))
    if not demand.tasks:
        return (room,) if len(pilots) < limits.least and room > 0 else ()
    coming = sum(pilot.nodes for pilot in pilots if not pilot.running)
    needed = min(math.ceil(demand.cores / max(cores_per_node, 1.0)) - coming, room)
    if is_too_wide(demand, pilots):
        return (max(demand.widest, needed),) if demand.widest <= room else ()  # else it waits until others have left
    return (needed,) if needed > 0 else ()


def is_too_wide(demand: Demand, pilots: Sequence[PilotView]) -> bool:
    """Whether a task waits for which no pilot has nodes enough."""
    return demand.widest > max((pilot.nodes for pilot in pilots), default=0)
