"""A plan in full, from an order and a choice for each job: nodes, transfers, what each start waits for, runners-up."""

import math
from bisect import bisect_right, insort
from collections.abc import Sequence

from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.links import Links
from cwlbalsam.planner.plan import Alternative, Placement, Plan, Wait

Free = tuple[float, int, int]
"""A unit of a bin: since when it is free, its number, the job that had it before (-1)."""


def record(compact: Compact, order: Sequence[int], choice: Sequence[int]) -> Plan:
    """The times are those of Timing.run. order: parents before children."""
    recorder = _Recorder(compact, choice)
    for job in order:
        recorder.place(job)
    placements = recorder.placements
    starts = [placements[job].start for job in range(len(placements))]
    moved = recorder.links.transfers
    return Plan(
        placements=tuple(placements[job] for job in range(len(placements))),
        transfers=tuple(moved),
        order=tuple(sorted(order, key=starts.__getitem__)),
        makespan=max((one.end for one in placements.values()), default=0.0),
        node_seconds=math.fsum(one.node_seconds for one in placements.values()),
        bytes_moved=math.fsum(compact.problem.data[one.data].size_bytes for one in moved),
    )


class _Recorder:
    def __init__(self, compact: Compact, choice: Sequence[int]) -> None:
        self.links = Links(compact)
        self.placements: dict[int, Placement] = {}
        self._compact = compact
        self._choice = choice
        self._ends = [0.0] * len(compact.work)
        self._where = [0] * len(compact.work)
        self._free: list[list[list[Free]]] = [
            [[(pool.opens, unit, -1) for unit in range(pool.capacity)] for _ in range(pool.bins)]
            for pool in compact.pools
        ]

    def place(self, job: int) -> None:
        compact, mine = self._compact, self._choice[job]
        choices = compact.choices
        site, pool = choices.site[mine], compact.pools[choices.pool[mine]]
        runner_up = self._runner_up(job)
        ready = self.links.ready(job, site, self._ends, self._where, commit=True)
        start, bins = self._start(mine, ready)
        end = start + choices.seconds[mine]
        wait, waits_for = self._why(job, mine, start, ready, bins)
        nodes = [node for number in bins for node in self._take(job, mine, number, start, end)]
        self._ends[job], self._where[job] = end, site
        self.placements[job] = Placement(
            site=site,
            window=pool.window,
            option=choices.option[mine],
            nodes=tuple(sorted(nodes)),
            cores=choices.cores[mine],
            start=start,
            end=end,
            node_seconds=choices.cost[mine],
            wait=wait,
            waits_for=waits_for,
            runner_up=runner_up and Alternative(*runner_up[1:], runner_up[0] - end),
        )

    def _start(self, choice: int, ready: float) -> tuple[float, list[int]]:
        """When a choice could start behind what is placed, and in which bins."""
        choices = self._compact.choices
        free, units, count = self._free[choices.pool[choice]], choices.units[choice], choices.bins[choice]
        if not units:
            return ready, []
        if len(free) == 1:
            return max(ready, free[0][units - 1][0]), [0]
        start = max(ready, sorted(one[units - 1][0] for one in free)[count - 1])
        fit = [number for number, one in enumerate(free) if one[units - 1][0] <= start]
        if len(fit) > count:
            fit.sort(key=lambda number: -free[number][_behind(free[number], start) - 1][0])
        return start, fit[:count]

    def _take(self, job: int, choice: int, number: int, start: float, end: float) -> list[int]:
        """Occupy units of a bin; returns the nodes that they are of."""
        choices = self._compact.choices
        pool, units = self._compact.pools[choices.pool[choice]], choices.units[choice]
        times = self._free[choices.pool[choice]][number]
        index = _behind(times, start)
        taken = times[index - units : index]
        del times[index - units : index]
        for _, unit, _ in taken:
            insort(times, (end, unit, job))
        if not pool.lanes:
            return [number]
        return sorted({unit // pool.lanes for _, unit, _ in taken})

    def _why(self, job: int, choice: int, start: float, ready: float, bins: Sequence[int]) -> tuple[Wait, int]:
        compact = self._compact
        choices = compact.choices
        if start > ready:
            free, units = self._free[choices.pool[choice]], choices.units[choice]
            _, _, before = max(free[number][units - 1] for number in bins)
            return ("nodes", before) if before >= 0 else ("window", -1)
        site = choices.site[choice]
        for transfer in self._arrivals(job, site):
            if transfer[1] >= start > 0:
                return "transfer", transfer[0]
        for parent, _ in compact.parents[job]:
            if self._ends[parent] >= start > 0:
                return "job", parent
        if start > 0:
            return ("time", -1) if compact.problem.jobs[job].not_before >= start else ("window", -1)
        return "nothing", -1

    def _arrivals(self, job: int, site: int) -> list[tuple[int, float]]:
        inputs = self._compact.problem.jobs[job].inputs
        return [(datum, at) for datum in inputs if (at := self.links.arrival(datum, site)) is not None]

    def _runner_up(self, job: int) -> tuple[float, int, int, int] | None:
        """(end, site, nodes, cores) of the other place or size that would end the job first, as things are."""
        compact, mine = self._compact, self._choice[job]
        choices = compact.choices
        chosen = choices.site[mine], choices.nodes[mine], choices.cores[mine]
        best: tuple[float, int, int, int] | None = None
        ready: dict[int, float] = {}
        for other in compact.of_work[compact.work[job]]:
            where = site, _, _ = choices.site[other], choices.nodes[other], choices.cores[other]
            if where == chosen:
                continue
            if site not in ready:
                ready[site] = self.links.ready(job, site, self._ends, self._where)
            if ready[site] == math.inf:
                continue
            end = self._start(other, ready[site])[0] + choices.seconds[other]
            if (best is None or end < best[0]) and end <= compact.pools[choices.pool[other]].closes:
                best = (end, *where)
        return best


def _behind(times: list[Free], start: float) -> int:
    """How many units are free by then."""
    return bisect_right(times, (start, math.inf, 0))
