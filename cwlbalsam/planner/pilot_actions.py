"""Pilots as the policy sees them, what it may do about them, and within which limits."""

from collections.abc import Mapping
from enum import Enum
from math import inf

from msgspec import Struct

from cwlbalsam.planner.packing import Demand, Thrift


class Kind(Enum):
    """Why a pilot was asked for: a hole that was seen, or a place in line."""

    HOLE = "hole"
    LINE = "line"


class Pilot(Struct, frozen=True, kw_only=True):
    """One of ours. started: 0.0 while it waits. ready: once it has started, whether jobs can start in it."""

    id: str
    site: str
    kind: Kind
    nodes: int
    wall_seconds: float
    submitted: float
    started: float = 0.0
    ready: bool = True

    @property
    def node_seconds(self) -> float:
        return self.nodes * self.wall_seconds

    @property
    def is_coming(self) -> bool:
        """What it can do need not be asked for again."""
        return not self.ready if self.started else self.kind is Kind.HOLE

    def can_run(self, demand: Demand, now: float) -> bool:
        left = self.started + self.wall_seconds - now if self.started else self.wall_seconds
        return demand.nodes <= self.nodes and demand.most_seconds <= left


class Submit(Struct, frozen=True, kw_only=True):
    site: str
    queue: str
    kind: Kind
    nodes: int
    wall_seconds: float
    reason: str


class Cancel(Struct, frozen=True, kw_only=True):
    pilot: str
    reason: str


Action = Submit | Cancel


class Failed(Struct, frozen=True, kw_only=True):
    """A pilot for a hole that did not start, taken back at `time`."""

    site: str
    nodes: int
    wall_seconds: float
    time: float


class Limits(Struct, frozen=True, kw_only=True):
    """What the user allows, and how patient the policy is.

    node_seconds: that may still be asked for, by site; nodes: of all pilots of a site at once; none is no limit.
    worth: the least share of the work left that a hole must hold, as the scheduler takes only so many pilots. line:
    pilots that wait in line at a site, no more than `alike` of a shape, in all for no more than `over` times the work
    left; new ones after line_seconds. patience_seconds: until a pilot for a hole must have started; memory_seconds: for
    which one that did not counts. keep_seconds: a pilot is not taken back earlier for want of work. absorb_seconds: for
    so long at most, work is left to the pilots that run. stretch: as there may be more work than is known, pilots ask
    for all the time that starts them no later. margin_seconds: between a pilot's end and that of its hole;
    grain_seconds: its time within a hole is a multiple of.
    """

    node_seconds: Mapping[str, float] = {}
    nodes: Mapping[str, int] = {}
    thrift: Thrift = Thrift()
    line: int = 16
    alike: int = 4
    over: float = 3.0
    line_seconds: float = 600.0
    worth: float = 0.002
    most_pilots: int = 20
    least_seconds: float = 60.0
    patience_seconds: float = 120.0
    memory_seconds: float = 900.0
    longest_seconds: float = 8 * 3600.0
    keep_seconds: float = 0.0
    absorb_seconds: float = inf
    stretch: bool = False
    margin_seconds: float = 0.0
    grain_seconds: float = 0.0
