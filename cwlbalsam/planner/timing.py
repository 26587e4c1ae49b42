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

_Mark = tuple[float, list[list[float]]]
"""The makespan so far, and of each pool, when each of its units gets free."""
STRIDE = 16
"""Jobs between two marks, from which a run that differs from there on only can be resumed."""


class Timing:
    """After `run`, starts, ends and where hold the times and the site of each job."""

    def __init__(self, compact: Compact) -> None:
        self.compact = compact
        jobs = len(compact.work)
        self.starts: list[float] = [0.0] * jobs
        self.ends: list[float] = [0.0] * jobs
        self.where: list[int] = [0] * jobs
        flat = compact.choices
        self._choices = list(zip(flat.site, flat.pool, flat.units, flat.seconds, strict=True))
        self._closes = [pool.closes for pool in compact.pools]
        self._parents = _parent_moves(compact)
        self._earliest = _external_arrivals(compact)
        self._simple = not compact.shared and all(pool.bins == 1 for pool in compact.pools)
        self._marks: list[_Mark] = []
        self._kept: tuple[list[float], list[float], list[int], list[_Mark]] = ([], [], [], [])

    def run(self, order: Sequence[int], choice: Sequence[int], same: int = 0) -> float:
        """The makespan; infinity if a job would outlast its window, or its data cannot get there.

        order: parents before children. same: so many jobs at the beginning are as in the run that was kept.
        """
        if not self._simple:
            return self.run_any(order, choice)
        block = min(same // STRIDE, len(self._kept[3]) - 1)
        if block > 0:
            self._marks = self._kept[3][:block]
            makespan, free = self._kept[3][block]
            free = [times.copy() for times in free]
        else:
            block, makespan, self._marks = 0, 0.0, []
            free = [[pool.opens] * pool.capacity for pool in self.compact.pools]
        for first in range(block * STRIDE, len(order), STRIDE):
            self._marks.append((makespan, [times.copy() for times in free]))
            makespan = max(makespan, self._advance(order[first : first + STRIDE], choice, free))
            if makespan == math.inf:
                break
        return makespan

    def keep(self) -> None:
        """The last run is what the next ones are like."""
        self._kept = self.starts.copy(), self.ends.copy(), self.where.copy(), self._marks

    def drop(self) -> None:
        """Back to the run that was kept."""
        self.starts[:], self.ends[:], self.where[:] = self._kept[:3]

    def _advance(self, jobs: Sequence[int], choice: Sequence[int], free: list[list[float]]) -> float:
        """Place some jobs behind all that is placed. free: of each pool, when each of its units gets free, sorted."""
        choices, closes, parents, earliest = self._choices, self._closes, self._parents, self._earliest
        ends, starts, where = self.ends, self.starts, self.where
        latest = 0.0
        for job in jobs:
            site, pool, units, seconds = choices[choice[job]]
            start = earliest[job][site]
            for parent, moves in parents[job]:
                end = ends[parent] + moves[where[parent]][site]
                if end > start:  # noqa: PLR1730 - max() would take three times as long
                    start = end
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
            if end > latest:  # noqa: PLR1730
                latest = end
        return latest

    def run_any(self, order: Sequence[int], choice: Sequence[int], stretch: Sequence[float] = ()) -> float:
        """What `run` does, for shared links and nodes that jobs of all sizes share, too.

        stretch: of each job, a factor to its duration.
        """
        links = Links(self.compact)
        bins = [[[pool.opens] * pool.capacity for _ in range(pool.bins)] for pool in self.compact.pools]
        latest = 0.0
        for job in order:
            mine = choice[job]
            site, pool, units, seconds = self._choices[mine]
            if stretch:
                seconds *= stretch[job]
            ready = links.ready(job, site, self.ends, self.where, commit=True)
            start = _append(bins[pool], ready, seconds, units, self.compact.choices.bins[mine])
            if start + seconds > self._closes[pool] or start == math.inf:
                return math.inf
            self.starts[job], self.ends[job], self.where[job] = start, start + seconds, site
            latest = max(latest, start + seconds)
        return latest

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


def _append(bins: list[list[float]], ready: float, seconds: float, units: int, count: int) -> float:
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
