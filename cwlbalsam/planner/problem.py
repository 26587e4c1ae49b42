"""What there is to plan: jobs and their data, sites and the links between them, and what must not be exceeded.

Jobs, works, data and sites are named by their index in the Problem's tuples. Times are seconds from now.
"""

import math
from statistics import NormalDist
from typing import Literal

from msgspec import Struct

from cwlbalsam.errors import UserError

Objective = Literal["time", "node-hours"]
HOUR = 3600.0
_NORMAL = NormalDist()


class Duration(Struct, frozen=True, gc=False):
    """How long something takes: log-normal. spread: sigma of the logarithm; 0.0 where it is known exactly."""

    median: float
    spread: float = 0.0

    def quantile(self, probability: float) -> float:
        """Seconds within which it ends with this probability, 0 < probability < 1."""
        if not self.spread or probability == 0.5:
            return self.median
        return self.median * math.exp(self.spread * _NORMAL.inv_cdf(probability))


class Option(Struct, frozen=True, gc=False):
    """One way to run a job: on so many nodes of a site, with so many cores of each (0: whole nodes).

    nodes 0: it takes no node and needs no window, like what a coordinator does itself between two jobs.
    """

    site: int
    seconds: Duration
    nodes: int = 1
    cores: int = 0


class Work(Struct, frozen=True):
    """What jobs that are alike have in common; the jobs of one scatter share one. software: what a site must have."""

    name: str
    options: tuple[Option, ...]
    software: frozenset[str] = frozenset()


class Data(Struct, frozen=True):
    """A file, or files that always go together. producer: the job that makes it, -1 for what is there from the start.

    sites: that have a replica from the start. Such that no site has and no job makes are reachable from everywhere.
    """

    size_bytes: float
    producer: int = -1
    sites: tuple[int, ...] = ()


class Job(Struct, frozen=True):
    """inputs: data that it reads. after: jobs that must have ended, of which it reads nothing."""

    name: str
    work: int
    inputs: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    not_before: float = 0.0


class Window(Struct, frozen=True):
    """Nodes of a site that are ours for a while: a pilot, or a hole in the queue. A job stays within one window.

    opens: when we expect to have them, the wait in the queue included.
    """

    nodes: int
    opens: float = 0.0
    closes: float = math.inf
    name: str = ""


class Site(Struct, frozen=True):
    """cores: of each node. node_seconds: the budget."""

    name: str
    windows: tuple[Window, ...]
    cores: int = 1
    software: frozenset[str] = frozenset()
    node_seconds: float = math.inf


class Link(Struct, frozen=True):
    """One direction from a site to another. Where there is none, nothing can be moved.

    shared: transfers share its bandwidth, so they are planned one after another; else each has all of it.
    """

    source: int
    target: int
    bytes_per_second: float
    latency_seconds: float = 0.0
    shared: bool = True


class Constraints(Struct, frozen=True, kw_only=True):
    """node_seconds: of all jobs on all sites; a job on some cores of a node counts as that part of it.

    min_efficiency: a size is used only if its node-seconds are at most 1/min_efficiency times those of the smallest
    size of that work that fits a window of that site.
    """

    node_seconds: float = math.inf
    min_efficiency: float = 0.0
    deadline: float = math.inf


class Problem(Struct, frozen=True, kw_only=True):
    """quantile: of the durations, that the plan counts with. objective `node-hours` needs a deadline."""

    jobs: tuple[Job, ...]
    works: tuple[Work, ...]
    sites: tuple[Site, ...]
    data: tuple[Data, ...] = ()
    links: tuple[Link, ...] = ()
    constraints: Constraints = Constraints()
    objective: Objective = "time"
    quantile: float = 0.5


class Infeasible(UserError):
    """The constraints cannot be met. limit: which one; needed, allowed: in its unit.

    proven: whether no plan can meet them, or only none was found.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        needed: float = math.nan,
        allowed: float = math.nan,
        proven: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.needed = needed
        self.allowed = allowed
        self.proven = proven
