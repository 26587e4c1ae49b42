"""Which pilots to ask for, and which to take back.

Three kinds of asking, all at once: a hole that is open now is filled with a pilot that fits and should start at once; a
few pilots stand in line, so that a hole is also found by the scheduler itself the moment it opens, and so that work
ends in the worst case, too; and what does not start though it should is a wrong guess: it is taken back, and nothing
as large is tried there for a while.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from cwlbalsam.jobs.batch import MachineState, Queue, Window
from cwlbalsam.planner.packing import Demand, Shape, best_shape, fill, node_seconds, order, without
from cwlbalsam.planner.pilot_actions import Action, Cancel, Failed, Kind, Limits, Pilot, Submit
from cwlbalsam.planner.queues.profile import Profile, filled, windows_in


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
        self.nodes = {site: limits.nodes.get(site, inf) for site in [*machines, *(pilot.site for pilot in pilots)]}
        for pilot in pilots:
            self.nodes[pilot.site] -= pilot.nodes
        self.found: list[Action] = []

    def actions(self, backlog: Sequence[Demand]) -> list[Action]:
        left = self._without_absorbed(backlog)
        self._take_back(left)
        for pilot in self.pilots:
            if pilot.is_coming:
                left = list(fill(pilot.nodes, pilot.wall_seconds, left).left)
        left = self._fill_holes(left)
        if left:
            self._stand_in_line(left)
        if lonely := [demand for demand in left if not any(pilot.can_run(demand, self.now) for pilot in self.pilots)]:
            self._ask_for_one(lonely)
        return self.found

    def _without_absorbed(self, backlog: Sequence[Demand]) -> list[Demand]:
        """What running pilots do not start before a new one had done with its longest job."""
        running = [pilot for pilot in self.pilots if pilot.started and pilot.ready]
        widest = max((pilot.nodes for pilot in running), default=0)
        fitting = [demand for demand in backlog if demand.nodes <= widest]
        longest = max((demand.most_seconds for demand in backlog), default=0.0)
        most = min(longest, self.limits.absorb_seconds)
        absorbed = sum(
            pilot.nodes * max(0.0, min(pilot.started + pilot.wall_seconds - self.now, most)) for pilot in running
        )
        return order([*without(fitting, absorbed), *(demand for demand in backlog if demand.nodes > widest)])

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
            elif waited >= self.limits.keep_seconds and not self._useful(pilot, left):
                reason = "what is left to do would not fill it"
            else:
                continue
            self.found.append(Cancel(pilot=pilot.id, reason=reason))
            self.pilots.remove(pilot)
            self.nodes[pilot.site] += pilot.nodes

    def _useful(self, pilot: Pilot, left: Sequence[Demand]) -> bool:
        """Whether what is left keeps it busy for as long as its longest job takes: it may end before its time.

        Also if nobody else could do some of it.
        """
        thrift = self.limits.thrift
        room = pilot.wall_seconds - thrift.start_seconds
        fitting = [demand for demand in left if demand.nodes <= pilot.nodes and demand.most_seconds <= room]
        if not fitting:
            return False
        least = thrift.useful * pilot.nodes * (fitting[0].seconds + thrift.start_seconds)
        if node_seconds(fitting) + thrift.spare >= least:
            return True
        others = [other for other in self.pilots if other is not pilot]
        return any(not any(other.can_run(demand, self.now) for other in others) for demand in fitting)

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
            wall = self._stretched(profiles[site], window.queue, site, shape.nodes, shape.wall_seconds, self.now)
            self._submit(site, window.queue, Kind.HOLE, shape.nodes, wall, reason)
            profiles[site].take(self.now, self.now + wall, shape.nodes)
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
            nodes = int(min(nodes, self.nodes[site]))
            queue = queues[window.queue]
            lasts = profile.lasts(window.nodes, self.now) - self.now
            seconds = min(self._within(lasts, queue), self.budget[site] / max(nodes, 1))
            least = queue.min_nodes
            if nodes < least or seconds < limits.least_seconds:
                continue
            if nodes * seconds < worth:
                continue
            shape = best_shape(nodes, seconds, left, least, limits.thrift)
            if shape and (best is None or shape.packing.node_seconds > best[2].packing.node_seconds):
                best = site, window, shape
        return best

    def _within(self, seconds: float, queue: Queue) -> float:
        """What a pilot of this queue may ask for in a hole that lasts so long."""
        limits = self.limits
        longest = min(queue.max_wall_seconds or inf, limits.longest_seconds)
        if seconds >= longest + limits.margin_seconds:
            return longest
        seconds -= limits.margin_seconds
        return seconds - seconds % limits.grain_seconds if limits.grain_seconds else seconds

    def _stretched(self, profile: Profile, name: str, site: str, nodes: int, wall: float, start: float) -> float:
        """The longest wall time with which so many nodes are still free from `start` on."""
        if not self.limits.stretch:
            return wall
        queue = next(queue for queue in self.machines[site].queues if queue.name == name)
        seconds = self._within(profile.lasts(nodes, start) - start, queue)
        return max(wall, min(seconds, self.budget[site] / nodes))

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
            profile = filled(state, len(state.jobs))
            for _, queue, nodes, wall, start in self._shapes_in_line(profile, state, left):
                asks = self._stretched(profile, queue, site, nodes, wall, start)
                alike = sum((pilot.nodes, pilot.wall_seconds) == (nodes, asks) for pilot in waits)
                while (
                    alike < self.limits.alike
                    and len(waits) < self.limits.line
                    and nodes * wall <= min(work, self.budget[site])
                    and nodes <= self.nodes[site]
                    and self._room(site, state)
                ):
                    reason = f"a place in line: as the queue is now it starts {self._latest(start)}"
                    self._submit(site, queue, Kind.LINE, nodes, asks, reason)
                    waits.append(self.pilots[-1])
                    alike += 1
                    work -= nodes * wall

    def _latest(self, start: float) -> str:
        return f"in {start - self.now:.0f} s at the latest" if start < inf else "at a time that nobody knows"

    def _ask_for_one(self, left: Sequence[Demand]) -> None:
        """Work that is worth no pilot has to be done all the same: by the one that has done with a job first."""
        best: tuple[float, str, str, int, float] | None = None
        for site, state in self.machines.items():
            profile = filled(state, len(state.jobs))
            for queue in state.queues:
                nodes, wall = next(self._ladder(queue, state, left), (0, 0.0))
                if not nodes or nodes * wall > self.budget[site] or not self._room(site, state):
                    continue
                if nodes > self.nodes[site] or not any(demand.nodes <= nodes for demand in left):
                    continue
                start = profile.earliest(nodes, wall, self.now)
                end = start + wall
                if end < inf and (best is None or end < best[0]):
                    best = end, site, queue.name, nodes, self._stretched(profile, queue.name, site, nodes, wall, start)
        if best:
            _, site, name, nodes, wall = best
            self._submit(site, name, Kind.LINE, nodes, wall, "little work, but nobody else would do it")

    def _shapes_in_line(
        self, profile: Profile, state: MachineState, left: Sequence[Demand]
    ) -> list[tuple[float, str, int, float, float]]:
        """(score, queue, nodes, wall, start), those first that do the most work a second from now to their end."""
        shapes = []
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
        count = sum(pilot.site == site for pilot in self.pilots)
        return count < limit and self.budget[site] > 0 and self.nodes[site] > 0

    def _submit(self, site: str, queue: str, kind: Kind, nodes: int, wall: float, reason: str) -> None:
        self.budget[site] -= nodes * wall
        self.nodes[site] -= nodes
        self.found.append(Submit(site=site, queue=queue, kind=kind, nodes=nodes, wall_seconds=wall, reason=reason))
        self.pilots.append(Pilot(id="", site=site, kind=kind, nodes=nodes, wall_seconds=wall, submitted=self.now))
