"""Free nodes over time, and what fits into them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import inf
from typing import Self

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue, Window

OVERDUE_SECONDS = 60.0


class Profile:
    """A step function: `free[i]` nodes from `times[i]` until `times[i + 1]`, the last for ever.

    Neighbours differ, so that equal functions look alike and adding what was taken leaves no trace. Before the first
    time nothing is known. Nodes may be negative where more were taken than there are.
    """

    __slots__ = ("free", "times")

    def __init__(self, time: float, free: int) -> None:
        self.times = [time]
        self.free = [free]

    def copy(self) -> Self:
        other = self.__class__(0.0, 0)
        other.times = self.times.copy()
        other.free = self.free.copy()
        return other

    def steps(self) -> Iterator[tuple[float, float, int]]:
        """(start, end, free) of each step."""
        yield from zip(self.times, [*self.times[1:], inf], self.free, strict=True)

    def free_at(self, time: float) -> int:
        return self.free[max(bisect_right(self.times, time) - 1, 0)]

    def least(self, start: float, end: float) -> int:
        """The fewest free nodes at any moment from start until before end."""
        first = max(bisect_right(self.times, start) - 1, 0)
        least = self.free[first]
        for index in range(first + 1, len(self.times)):
            if self.times[index] >= end:
                break
            least = min(least, self.free[index])
        return least

    def add(self, start: float, end: float, nodes: int) -> None:
        """So many more are free from start until end; fewer if nodes is negative."""
        start = max(start, self.times[0])
        if end <= start or not nodes:
            return
        first = self._cut(start)
        last = len(self.times) if end == inf else self._cut(end)
        free = self.free
        for index in range(first, last):
            free[index] += nodes
        self._join(last)
        self._join(first)

    def take(self, start: float, end: float, nodes: int) -> None:
        self.add(start, end, -nodes)

    def earliest(self, nodes: int, seconds: float, after: float, before: float = inf) -> float:
        """When, from `after` on, so many nodes are first free for so long; infinite if that is not before `before`."""
        times, free = self.times, self.free
        size = len(times)
        index = max(bisect_right(times, after) - 1, 0)
        start = max(after, times[0])
        while start < before:
            if free[index] >= nodes:
                end = start + seconds
                while True:
                    index += 1
                    if index == size or times[index] >= end:
                        return start
                    if free[index] < nodes:
                        break
            index += 1
            if index >= size:
                return inf
            start = times[index]
        return inf

    def lasts(self, nodes: int, start: float) -> float:
        """Until when so many nodes are free from `start` on; infinite if for ever."""
        first = max(bisect_right(self.times, start) - 1, 0)
        return next((self.times[index] for index in range(first, len(self.times)) if self.free[index] < nodes), inf)

    def forget(self, time: float) -> None:
        """Drop what was before `time`."""
        index = bisect_right(self.times, time) - 1
        if index > 0:
            del self.times[:index], self.free[:index]
        if index >= 0:
            self.times[0] = time

    def _cut(self, time: float) -> int:
        """The index of the step that starts at `time`, made if there is none."""
        index = bisect_right(self.times, time)
        if self.times[index - 1] == time:
            return index - 1
        self.times.insert(index, time)
        self.free.insert(index, self.free[index - 1])
        return index

    def _join(self, index: int) -> None:
        """Let a step and the one before be one if they are alike."""
        if 0 < index < len(self.times) and self.free[index - 1] == self.free[index]:
            del self.times[index], self.free[index]


def profile_of(state: MachineState) -> Profile:
    """Free nodes over time by what runs and what is reserved, nothing of the queue.

    A running batch job is believed to use all of its time, one without a known end to stay, one that is overdue to go
    within OVERDUE_SECONDS. Reservations that are active already hold nodes that `state.free` does not count.
    """
    profile = Profile(state.time, max(0, min(state.free, state.nodes)))
    for job in state.jobs:
        if job.state is BatchState.RUNNING:
            profile.add(end_of(job, state.time), inf, job.nodes)
    for kept in state.reservations:
        if kept.starts <= state.time:
            profile.add(max(kept.ends, state.time), inf, kept.nodes)
        else:
            profile.take(kept.starts, kept.ends, kept.nodes)
    return profile


def end_of(job: BatchJob, now: float) -> float:
    """When a running batch job ends at the latest; infinite if nobody knows."""
    if not job.ends and not (job.started and job.wall_seconds):
        return inf
    ends = job.ends or job.started + job.wall_seconds
    return ends if ends > now else now + OVERDUE_SECONDS


def waiting(state: MachineState) -> list[BatchJob]:
    """The queue in the order in which the scheduler looks at it, without what it does not let start."""
    closed = {queue.name for queue in state.queues if not queue.open}
    queued = (job for job in state.jobs if job.state is BatchState.QUEUED and job.queue not in closed)
    return sorted(queued, key=lambda job: (-job.priority, job.submitted))


def wall_of(job: BatchJob, queues: Sequence[Queue]) -> float:
    """What it asks for, or else what its queue allows; infinite if neither is known."""
    limits = (queue.max_wall_seconds for queue in queues if queue.name == job.queue)
    return job.wall_seconds or next(limits, 0.0) or inf


def place(profile: Profile, jobs: Sequence[BatchJob], state: MachineState, depth: int) -> list[tuple[BatchJob, float]]:
    """Let jobs start now where the rules do so, and give the first `depth` that cannot a reservation; all in `profile`.

    depth: 1 is EASY, the length of the queue conservative. Returns what got a place, with its start.
    """
    placed = []
    for job in jobs:
        wall = wall_of(job, state.queues)
        start = profile.earliest(job.nodes, wall, state.time)
        if start > state.time:
            if depth <= 0 or start == inf:
                continue
            depth -= 1
        profile.take(start, start + wall, job.nodes)
        placed.append((job, start))
    return placed


def filled(state: MachineState, depth: int = 1) -> Profile:
    """Free nodes over time when all that waits and can start has started, and the first `depth` others are reserved."""
    profile = profile_of(state)
    place(profile, waiting(state), state, depth)
    return profile


def windows(state: MachineState, depth: int = 1) -> list[Window]:
    """The holes that are open now, of each open queue from the widest and shortest to the narrowest and longest.

    A batch job that fits into one of them starts at the scheduler's next look: of no more nodes and no more seconds,
    it delays neither what waits and could start now, nor the first `depth` that wait, nor a reservation.
    """
    return windows_in(filled(state, depth), state)


def windows_in(profile: Profile, state: MachineState) -> list[Window]:
    """The same of a profile."""
    holes = _holes(profile, state.time)
    return [window for queue in state.queues if queue.open for window in _in_queue(holes, queue, state)]


def _holes(profile: Profile, now: float) -> list[tuple[int, float]]:
    """(nodes, seconds): the fewest free nodes so far, while they last."""
    holes: list[tuple[int, float]] = []
    least = profile.free_at(now)
    for start, _, free in profile.steps():
        if free < least:
            holes.append((least, start - now))
            least = free
    holes.append((least, inf))
    return [(nodes, seconds) for nodes, seconds in holes if nodes > 0 and seconds > 0]


def _in_queue(holes: Sequence[tuple[int, float]], queue: Queue, state: MachineState) -> list[Window]:
    most = queue.max_nodes or state.nodes
    if queue.nodes:
        mine = (job.nodes for job in state.jobs if job.state is BatchState.RUNNING and job.queue == queue.name)
        most = min(most, queue.nodes - sum(mine))
    longest = queue.max_wall_seconds or inf
    found: list[Window] = []
    for nodes, seconds in holes:
        window = Window(queue=queue.name, nodes=min(nodes, most), seconds=min(seconds, longest))
        if window.nodes < queue.min_nodes or window.nodes < 1:
            continue
        if found and found[-1].nodes == window.nodes:
            found.pop()
        if found and found[-1].seconds == window.seconds:
            continue
        found.append(window)
    return found
