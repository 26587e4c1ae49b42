"""Places for jobs, and how much of a place a job takes."""

import math
from collections.abc import Callable

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.placement import ranks_on
from cwlbalsam.executor.site_limits import PilotLimits, SiteLimits
from cwlbalsam.planner.problem import Window
from cwlbalsam.sites.site import LOCAL

ENGINE = "a container engine"


class Ground(Struct, frozen=True, kw_only=True):
    """A place for jobs. limits: of a queue there, "" the usual one; raises JobError if there is none of that name.

    seen: it sees this machine's files. engine: it can run containers.
    """

    name: str
    limits: Callable[[str], SiteLimits]
    windows: tuple[Window, ...]
    seen: bool = True
    engine: bool = True


def here(machine: Machine, *, engine: bool = True, opens: float = 0.0) -> Ground:
    """This machine."""
    return msgspec.structs.replace(alike(1, machine, LOCAL), windows=(Window(1, opens=opens),), engine=engine)


def alike(nodes: int, node: Machine, name: str) -> Ground:
    """A place with so many equal nodes that may be used for ever."""
    pilots = PilotLimits(pilots=1, nodes=nodes, nodes_per_pilot=nodes, wall_seconds=math.inf)
    limits = SiteLimits(name, (node,), pilots)
    return Ground(name=name, limits=lambda _: limits, windows=(Window(nodes),))


def room(ground: Ground, grant: Grant, wall_seconds: float, needs_engine: bool) -> tuple[int, int]:
    """Nodes that a job takes at a site, and cores of each (0: all). Raises JobError, which says why it cannot."""
    if needs_engine and not ground.engine:
        raise JobError("it requires a container, and there is no container engine")
    limits = ground.limits(grant.pilot.queue)
    job = Task(job=0, program="", process=0, inputs={}, directory="", grant=grant, wall_seconds=wall_seconds)
    limits.check(job)
    node, cores = _largest(limits), cores_of(limits)
    if not grant.is_wide:
        of_memory = grant.ram / node.ram * cores if node.ram else 0.0
        wanted = max(math.ceil(grant.cores), math.ceil(of_memory - 1e-9), 1)
        return 1, min(wanted, cores)
    ranks = ranks_on(Capacity(node), grant)
    nodes = grant.nodes or -(-grant.ranks // max(ranks, 1))
    if nodes > 1 or grant.nodes:
        return nodes, 0
    return 1, min(max(math.ceil(grant.cores * grant.ranks), 1), cores)


def _largest(limits: SiteLimits) -> Machine:
    usual = Machine(cores=1, ram=math.inf, tmpdir=math.inf)
    return max(limits.shapes, key=lambda shape: (shape.cores, shape.ram), default=usual)


def cores_of(limits: SiteLimits) -> int:
    return max(math.floor(_largest(limits).cores), 1)
