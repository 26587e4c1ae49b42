"""List scheduling: one job after another, each where it ends first, in holes too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cwlbalsam.planner.bins import earliest_in, take_in
from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.links import Links
from cwlbalsam.planner.problem import HOUR, Infeasible
from cwlbalsam.planner.profile import Profile


@dataclass
class Draft:
    """A schedule without its details. order: the jobs by their start, parents before children."""

    order: list[int]
    choice: list[int]
    makespan: float


@dataclass
class Books:
    """Node-seconds that may still be spent, beyond the leanest choice of every job that is still to come."""

    compact: Compact
    spare: float = math.inf
    at_site: list[float] = field(default_factory=list)
    limited: bool = False

    def __post_init__(self) -> None:
        problem, choices = self.compact.problem, self.compact.choices
        self.spare = problem.constraints.node_seconds
        self.at_site = [site.node_seconds for site in problem.sites]
        self.limited = min(self.spare, *self.at_site) < math.inf
        if not self.limited:
            return
        of_work = self.compact.of_work
        self.leanest = [min((choices.cost[one] for one in mine), default=0.0) for mine in of_work]
        only = [{choices.site[one] for one in mine} for mine in of_work]
        self.only = [next(iter(sites)) if len(sites) == 1 else -1 for sites in only]
        self.slack = 1e-9 * sum(self.leanest[work] for work in self.compact.work)
        for work in self.compact.work:
            self.spare -= self.leanest[work]
            if self.only[work] >= 0:
                self.at_site[self.only[work]] -= self.leanest[work]

    def allows(self, work: int, choice: int) -> bool:
        """Whether the rest can still be paid for."""
        return self.shortfall(work, choice)[0] <= self.slack

    def shortfall(self, work: int, choice: int) -> tuple[float, str, float, float]:
        """Node-seconds that are lacking (negative: left over), of which budget, and needed and left of it."""
        cost, site = self.compact.choices.cost[choice], self.compact.choices.site[choice]
        left = self.at_site[site] + (self.leanest[work] if self.only[work] == site else 0.0)
        in_all = self.spare + self.leanest[work]
        if left < in_all:
            return cost - left, f"at {self.compact.problem.sites[site].name}", cost, left
        return cost - in_all, "in all", cost, in_all

    def spend(self, work: int, choice: int) -> None:
        cost, site = self.compact.choices.cost[choice], self.compact.choices.site[choice]
        self.spare -= cost - self.leanest[work]
        self.at_site[site] -= cost - (self.leanest[work] if self.only[work] == site else 0.0)


class Listing:
    """One pass. allowed: the choices of each work that are tried. lean: the cheapest choice first, not the earliest."""

    def __init__(self, compact: Compact, allowed: Sequence[Sequence[int]], lean: bool = False) -> None:
        self._compact = compact
        self._allowed = allowed
        self._lean = lean
        self._books = Books(compact)
        self._links = Links(compact)
        self._profiles = [
            [Profile(pool.capacity, pool.opens, pool.closes) for _ in range(pool.bins)] for pool in compact.pools
        ]
        jobs = len(compact.work)
        self._ends, self._starts = [0.0] * jobs, [0.0] * jobs
        self._where = [0] * jobs
        self.choice = [-1] * jobs

    def run(self, order: Sequence[int]) -> Draft:
        """order: parents before children. Raises Infeasible when nothing that is allowed is left for a job."""
        for job in order:
            self._place(job)
        rank = {job: number for number, job in enumerate(self._compact.topological)}
        by_start = sorted(order, key=lambda job: (self._starts[job], self._ends[job], rank[job]))
        return Draft(by_start, self.choice, max(self._ends, default=0.0))

    def _place(self, job: int) -> None:
        compact = self._compact
        choices = compact.choices
        work = compact.work[job]
        site_of, seconds_of = choices.site, choices.seconds
        ready: dict[int, float] = {}
        best = -1
        best_key = (math.inf, math.inf, math.inf)
        for choice in self._allowed[work]:
            if self._books.limited and not self._books.allows(work, choice):
                continue
            site = site_of[choice]
            if site not in ready:
                ready[site] = self._links.ready(job, site, self._ends, self._where)
            start = self._earliest(choice, ready[site])
            end, cost = start + seconds_of[choice], choices.cost[choice]
            key = (cost, end, cost) if self._lean and end < math.inf else (end, cost, end)
            if key < best_key:
                best, best_key, best_start = choice, key, start
        if best < 0 or best_key[0] == math.inf:
            raise self._stuck(job)
        self._commit(job, best, best_start)

    def _earliest(self, choice: int, ready: float) -> float:
        choices = self._compact.choices
        bins = self._profiles[choices.pool[choice]]
        if ready == math.inf:
            return ready
        if len(bins) == 1:
            return bins[0].earliest(ready, choices.seconds[choice], choices.units[choice], choice)
        return earliest_in(bins, ready, choices.seconds[choice], choices.units[choice], choices.bins[choice])

    def _commit(self, job: int, choice: int, start: float) -> None:
        choices = self._compact.choices
        seconds, units = choices.seconds[choice], choices.units[choice]
        bins = self._profiles[choices.pool[choice]]
        if len(bins) == 1:
            bins[0].take(start, start + seconds, units)
        else:
            take_in(bins, start, seconds, units, choices.bins[choice])
        self._links.ready(job, choices.site[choice], self._ends, self._where, commit=True)
        if self._books.limited:
            self._books.spend(self._compact.work[job], choice)
        self.choice[job] = choice
        self._starts[job], self._ends[job] = start, start + seconds
        self._where[job] = choices.site[choice]

    def _stuck(self, job: int) -> Infeasible:
        """No choice is left: the budgets are spent, no link leads there, or no window is open for long enough."""
        compact = self._compact
        mine = compact.of_work[compact.work[job]]
        name = compact.problem.jobs[job].name
        unpaid = [one for one in mine if self._books.limited and not self._books.allows(compact.work[job], one)]
        paid = [one for one in mine if one not in unpaid]
        if unpaid:  # what could be paid for did not fit, or we would not be here
            short = (self._books.shortfall(compact.work[job], one) for one in unpaid)
            _, where, needed, left = min(short, key=lambda one: one[0])
            return Infeasible(
                f"{name} needs {needed / HOUR:.4g} node-hours, but the other jobs leave only {left / HOUR:.4g} {where}",
                limit=f"node-hours {where}",
                needed=needed,
                allowed=left,
                proven=False,
            )
        if all(self._links.ready(job, compact.choices.site[one], self._ends, self._where) == math.inf for one in paid):
            return Infeasible(
                f"{name}: no link leads from its data to a site that can run it", limit="links", proven=False
            )
        latest = max(compact.pools[compact.choices.pool[one]].closes for one in paid)
        return Infeasible(
            f"{name} fits no window before the last one closes, {latest:.0f} s from now", limit="window", proven=False
        )
