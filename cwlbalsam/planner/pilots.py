"""Which pilots to ask for, and which to take back.

Three kinds of asking, all at once: a hole that is open now is filled with a pilot that fits and should start at once; a
few pilots stand in line, so that a hole is also found by the scheduler itself the moment it opens, and so that work
ends in the worst case, too; and what does not start though it should is a wrong guess: it is taken back, and nothing
as large is tried there for a while.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from math import inf

from msgspec import Struct

from cwlbalsam.jobs.batch import MachineState, Queue, Window
from cwlbalsam.planner.packing import Demand, Shape, Thrift, best_shape, fill, node_seconds, order, without
from cwlbalsam.planner.queues.profile import Profile, filled, windows_in


class Kind(Enum):
    """Why a pilot was asked for: a hole that was seen, or a place in line."""

    HOLE = "hole"
    LINE = "line"


class Pilot(Struct, frozen=True, kw_only=True):
    """One of ours. started: 0.0 while it waits."""

    id: str
    site: str
    kind: Kind
    nodes: int
    wall_seconds: float
    submitted: float
    started: float = 0.0

    @property
    def node_seconds(self) -> float:
        return self.nodes * self.wall_seconds


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

    node_seconds: that may still be asked for, by site; none is no limit. worth: the least share of the work left that
    a hole must hold, as the scheduler takes only so many pilots. line: pilots that wait in line at a site, no more than
    `alike` of a shape, in all for no more than `over` times the work left; new ones after line_seconds.
    patience_seconds: until a pilot for a hole must have started; memory_seconds: for which one that did not counts.
    """

    node_seconds: Mapping[str, float] = {}
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


def decide(
    now: float,
    backlog: Sequence[Demand],
    machines: Mapping[str, MachineState],
    pilots: Sequence[Pilot],
    limits: Limits,
    failed: Sequence[Failed] = (),
) -> list[Action]:
    """What to do now. backlog: jobs that could start and have not; pilots: those that wait or run."""
    return _Decision(now, machines, pilots, limits, failed).actions(backlog)


class _Decision:
    def __init__(
        self,
        now: float,
        machines: Mapping[str, MachineState],
        pilots: Sequence[Pilot],
        limits: Limits,
        failed: Sequence[Failed],
    ) -> None:
        self.now = now
        self.machines = machines
        self.limits = limits
        self.failed = [one for one in failed if now - one.time < limits.memory_seconds]
        self.pilots = list(pilots)
        self.budget = {site: limits.node_seconds.get(site, inf) for site in machines}
        self.found: list[Action] = []

    def actions(self, backlog: Sequence[Demand]) -> list[Action]:
        left = without(order(backlog), self._absorbed(backlog))
        self._take_back(left)
        for pilot in self.pilots:
            if not pilot.started and pilot.kind is Kind.HOLE:
                left = list(fill(pilot.nodes, pilot.wall_seconds, left).left)
        left = self._fill_holes(left)
        if left:
            self._stand_in_line(left)
        if left and not self.pilots:
            self._ask_for_one(left)
        return self.found

    def _absorbed(self, backlog: Sequence[Demand]) -> float:
        """Node-seconds of the backlog that running pilots start before a new one had done with its longest job."""
        longest = max((demand.most_seconds for demand in backlog), default=0.0)
        running = (pilot for pilot in self.pilots if pilot.started)
        return sum(
            pilot.nodes * max(0.0, min(pilot.started + pilot.wall_seconds - self.now, longest)) for pilot in running
        )

    def _take_back(self, left: Sequence[Demand]) -> None:
        """What waits and has failed, or has lost its use."""
        for pilot in self.pilots.copy():
            if pilot.started:
                continue
            waited = self.now - pilot.submitted
            if pilot.kind is Kind.HOLE and waited >= self.limits.patience_seconds:
                reason = f"did not start within {waited:.0f} s though it fitted the hole"
                self.failed.append(
                    Failed(site=pilot.site, nodes=pilot.nodes, wall_seconds=pilot.wall_seconds, time=self.now)
                )
            elif pilot.kind is Kind.LINE and not self._useful(pilot, left) and not (left and len(self.pilots) == 1):
                reason = "what is left to do would not fill it"
            else:
                continue
            self.found.append(Cancel(pilot=pilot.id, reason=reason))
            self.pilots.remove(pilot)

    def _useful(self, pilot: Pilot, left: Sequence[Demand]) -> bool:
        """Whether what is left keeps it busy for as long as its longest job takes: it may end before its time."""
        thrift = self.limits.thrift
        room = pilot.wall_seconds - thrift.start_seconds
        fitting = [demand for demand in left if demand.nodes <= pilot.nodes and demand.most_seconds <= room]
        if not fitting:
            return False
        least = thrift.useful * pilot.nodes * (fitting[0].seconds + thrift.start_seconds)
        return node_seconds(fitting) + thrift.spare >= least

    def _fill_holes(self, left: list[Demand]) -> list[Demand]:
        """Ask for what fits into open holes, the largest work first. Returns what is left to do after that."""
        profiles = {
            site: filled(state)
            for site, state in self.machines.items()
            if self._room(site, state) and state.free >= min((queue.min_nodes for queue in state.queues), default=1)
        }
        while left and profiles:
            offers = [offer for site, profile in profiles.items() if (offer := self._offer(site, profile, left))]
            if not offers:
                break
            site, window, shape = max(offers, key=lambda offer: offer[2].packing.node_seconds)
            span = "" if window.seconds == inf else f" for {window.seconds:.0f} s"
            share = shape.packing.share(shape.nodes)
            reason = f"{window.nodes} nodes are free now{span}; {shape.packing.jobs} jobs fill {share:.0%} of this part"
            self._submit(site, window.queue, Kind.HOLE, shape.nodes, shape.wall_seconds, reason)
            profiles[site].take(self.now, self.now + shape.wall_seconds, shape.nodes)
            if not self._room(site, self.machines[site]):
                del profiles[site]
            left = list(shape.packing.left)
        return left

    def _offer(self, site: str, profile: Profile, left: Sequence[Demand]) -> tuple[str, Window, Shape] | None:
        """The best pilot for a hole of this site."""
        limits, state = self.limits, self.machines[site]
        worth = node_seconds(left) * limits.worth
        queues = {queue.name: queue for queue in state.queues}
        best: tuple[str, Window, Shape] | None = None
        for window in windows_in(profile, state):
            nodes, seconds = self._believed(site, window)
            seconds = min(seconds, limits.longest_seconds, self.budget[site] / max(nodes, 1))
            least = queues[window.queue].min_nodes
            if nodes < least or seconds < limits.least_seconds:
                continue
            if nodes * seconds < worth:
                continue
            shape = best_shape(nodes, seconds, left, least, limits.thrift)
            if shape and (best is None or shape.packing.node_seconds > best[2].packing.node_seconds):
                best = site, window, shape
        return best

    def _believed(self, site: str, window: Window) -> tuple[int, float]:
        """A hole, but no more than half of the nodes that could not be had lately for that time."""
        nodes = window.nodes
        for one in self.failed:
            if one.site == site and one.wall_seconds <= window.seconds:
                nodes = min(nodes, one.nodes // 2)
        return nodes, window.seconds

    def _stand_in_line(self, left: Sequence[Demand]) -> None:
        """Let pilots of several shapes wait at every site, as long as there is work for all that wait."""
        line = [pilot for pilot in self.pilots if not pilot.started and pilot.kind is Kind.LINE]
        work = node_seconds(left) * self.limits.over - sum(pilot.node_seconds for pilot in line)
        for site, state in self.machines.items():
            waits = [pilot for pilot in line if pilot.site == site]
            asked = max((p.submitted for p in self.pilots if p.site == site and p.kind is Kind.LINE), default=-inf)
            if len(waits) >= self.limits.line or (waits and self.now - asked < self.limits.line_seconds):
                continue
            for _, queue, nodes, wall, start in self._shapes_in_line(site, state, left):
                alike = sum((pilot.nodes, pilot.wall_seconds) == (nodes, wall) for pilot in waits)
                while (
                    alike < self.limits.alike
                    and len(waits) < self.limits.line
                    and nodes * wall <= min(work, self.budget[site])
                    and self._room(site, state)
                ):
                    reason = f"a place in line: as the queue is now it starts in {start - self.now:.0f} s at the latest"
                    self._submit(site, queue, Kind.LINE, nodes, wall, reason)
                    waits.append(self.pilots[-1])
                    alike += 1
                    work -= nodes * wall

    def _ask_for_one(self, left: Sequence[Demand]) -> None:
        """Work that is worth no pilot has to be done all the same: by the one that has done with a job first."""
        best: tuple[float, str, str, int, float] | None = None
        for site, state in self.machines.items():
            profile = filled(state, len(state.jobs))
            for queue in state.queues:
                nodes, wall = next(self._ladder(queue, state, left), (0, 0.0))
                if not nodes or nodes * wall > self.budget[site] or not self._room(site, state):
                    continue
                end = profile.earliest(nodes, wall, self.now) + wall
                if end < inf and (best is None or end < best[0]):
                    best = end, site, queue.name, nodes, wall
        if best:
            _, site, name, nodes, wall = best
            self._submit(site, name, Kind.LINE, nodes, wall, "little work, but nobody else would do it")

    def _shapes_in_line(
        self, site: str, state: MachineState, left: Sequence[Demand]
    ) -> list[tuple[float, str, int, float, float]]:
        """(score, queue, nodes, wall, start), those first that do the most work a second from now to their end."""
        shapes = []
        profile = filled(state, len(state.jobs))
        for queue in state.queues:
            for nodes, wall in self._ladder(queue, state, left):
                start = profile.earliest(nodes, wall, self.now)
                shapes.append((nodes * wall / (start - self.now + wall), queue.name, nodes, wall, start))
        return sorted(shapes, reverse=True)

    def _ladder(self, queue: Queue, state: MachineState, left: Sequence[Demand]) -> Iterator[tuple[int, float]]:
        longest = max(demand.most_seconds for demand in left) + self.limits.thrift.start_seconds
        widest = max(demand.nodes for demand in left)
        most = min(queue.max_nodes or state.nodes, queue.nodes or state.nodes, state.nodes)
        nodes = max(queue.min_nodes, min(widest, most))
        while queue.open and nodes <= most:
            for times in (1, 2, 4):
                wall = min(longest * times, max(longest, self.limits.longest_seconds))
                if not queue.max_wall_seconds or wall <= queue.max_wall_seconds:
                    yield nodes, wall
            nodes *= 2

    def _room(self, site: str, state: MachineState) -> bool:
        limit = max((queue.max_queued or self.limits.most_pilots for queue in state.queues), default=0)
        return sum(pilot.site == site for pilot in self.pilots) < limit and self.budget[site] > 0

    def _submit(self, site: str, queue: str, kind: Kind, nodes: int, wall: float, reason: str) -> None:
        self.budget[site] -= nodes * wall
        self.found.append(Submit(site=site, queue=queue, kind=kind, nodes=nodes, wall_seconds=wall, reason=reason))
        self.pilots.append(Pilot(id="", site=site, kind=kind, nodes=nodes, wall_seconds=wall, submitted=self.now))
