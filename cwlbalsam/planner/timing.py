"""What comes of an order and a choice for each job: the inner loop of the search, so lists of numbers and no objects.

Jobs are taken in their order, and each starts behind those before it, as soon as its data are there: no holes are
looked for. Every schedule that leaves no unit idle to no purpose is that of its jobs in the order of their starts.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

from cwlbalsam.planner.bins import append_in
from cwlbalsam.planner.compact import Compact, Matrix
from cwlbalsam.planner.links import Links


class Timing:
    """After `run`, starts, ends and where hold the times and the site of each job."""

    def __init__(self, compact: Compact) -> None:
        self.compact = compact
        jobs = len(compact.work)
        self.starts: list[float] = [0.0] * jobs
        self.ends: list[float] = [0.0] * jobs
        self.where: list[int] = [0] * jobs
        self._closes = [pool.closes for pool in compact.pools]
        self._binned = [pool.bins > 1 for pool in compact.pools]
        flat = compact.choices
        self._choices = list(zip(flat.site, flat.pool, flat.units, flat.seconds, strict=True))
        self._parents = _parent_moves(compact)
        self._earliest = _external_arrivals(compact)

    def run(self, order: Sequence[int], choice: Sequence[int], stretch: Sequence[float] = ()) -> float:
        """The makespan; infinity if a job would outlast its window, or its data cannot get there.

        order: parents before children. stretch: of each job, a factor to its duration.
        """
        choices, ends, starts, where = self._choices, self.ends, self.starts, self.where
        closes, binned = self._closes, self._binned
        parents, earliest = self._parents, self._earliest
        free = [[pool.opens] * pool.capacity for pool in self.compact.pools]
        bins = [
            [[pool.opens] * pool.capacity for _ in range(pool.bins)] for pool in self.compact.pools if pool.bins > 1
        ]
        links = Links(self.compact) if self.compact.shared else None
        makespan = 0.0
        for job in order:
            site, pool, units, seconds = choices[choice[job]]
            if stretch:
                seconds *= stretch[job]
            if links is None:
                start = earliest[job][site]
                for parent, moves in parents[job]:
                    end = ends[parent] + moves[where[parent]][site]
                    start = max(start, end)
            else:
                start = links.ready(job, site, ends, where, commit=True)
            if binned[pool]:
                start = _append_binned(
                    bins[sum(binned[:pool])], start, seconds, units, self.compact.choices.bins[choice[job]]
                )
                end = start + seconds
            else:
                times = free[pool]
                index = bisect_right(times, start)
                if index < units:
                    start = times[units - 1]
                    index = bisect_right(times, start)
                end = start + seconds
                if units == 1:
                    del times[index - 1]
                    times.insert(bisect_right(times, end), end)
                else:
                    del times[index - units : index]
                    index = bisect_right(times, end)
                    times[index:index] = [end] * units
            if end > closes[pool] or end == math.inf:
                return math.inf
            starts[job], ends[job], where[job] = start, end, site
            makespan = max(makespan, end)
        return makespan

    def critical_path(self, choice: Sequence[int]) -> list[int]:
        """Jobs of the last run, each of which starts when the one before it lets it, back from one that ends last."""
        pool_of, site_of = self.compact.choices.pool, self.compact.choices.site
        ends, starts = self.ends, self.starts
        ending = {(pool_of[choice[job]], end): job for job, end in enumerate(ends) if end > starts[job]}
        job = max(range(len(ends)), key=ends.__getitem__)
        path = [job]
        while True:
            mine = choice[job]
            start, site = starts[job], site_of[mine]
            before = -1
            for parent, moves in self._parents[job]:
                if ends[parent] + moves[self.where[parent]][site] >= start:
                    before = parent
                    break
            if before < 0 or len(path) & 1:  # now these, now those: either may be what to change
                before = ending.get((pool_of[mine], start), before)
            if before < 0:
                return path
            path.append(before)
            job = before


def _append_binned(bins: list[list[float]], ready: float, seconds: float, units: int, count: int) -> float:
    start, chosen = append_in(bins, ready, units, count)
    if start == math.inf:
        return start
    for number in chosen:
        times = bins[number]
        index = bisect_right(times, start)
        del times[index - units : index]
        index = bisect_right(times, start + seconds)
        times[index:index] = [start + seconds] * units
    return start


def _parent_moves(compact: Compact) -> list[list[tuple[int, Matrix]]]:
    """Of each job, its parents and how long the datum takes between any two sites; data of one size share a matrix."""
    sites = range(len(compact.problem.sites))
    none: Matrix = [[0.0 for _ in sites] for _ in sites]
    known: dict[float, Matrix] = {}
    moves: list[Matrix] = []
    for datum, one in enumerate(compact.problem.data):
        if one.size_bytes not in known:
            known[one.size_bytes] = [[compact.seconds_to_move(datum, a, b) for b in sites] for a in sites]
        moves.append(known[one.size_bytes])
    return [[(parent, moves[datum] if datum >= 0 else none) for parent, datum in mine] for mine in compact.parents]


def _external_arrivals(compact: Compact) -> list[list[float]]:
    """Of each job, when what is there from the start can be at each site."""
    sites = range(len(compact.problem.sites))
    known: dict[tuple[float, tuple[int, ...]], list[float]] = {}
    found: list[list[float]] = []
    for job, mine in zip(compact.problem.jobs, compact.external, strict=True):
        key = job.not_before, mine
        if key not in known:
            arrivals = [max((compact.arrives(datum, site) for datum in mine), default=0.0) for site in sites]
            known[key] = [max(job.not_before, arrival) for arrival in arrivals]
        found.append(known[key])
    return found
