"""Local search: simulated annealing over the order of the jobs and the choice for each of them."""

import math
import os
import random
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.listing import Draft
from cwlbalsam.planner.timing import Timing

HEAT = float(os.environ.get("HEAT", "0.03"))
PC = float(os.environ.get("PC", "0.5"))
PO = float(os.environ.get("PO", "0.4"))
PN = float(os.environ.get("PN", "0.5"))
NORM = float(os.environ.get("NORM", "1"))
PK = float(os.environ.get("PK", "0.7"))
"""Temperature at the beginning, of the score: a plan 3 % worse passes with a probability of 1/e."""
REACH = 200
"""Places in the order that a job is moved by, at most."""
BATCH = 16
"""Evaluations between two looks at the clock."""


class Effort(Struct, frozen=True):
    """How long to improve a plan: whichever ends first. With seconds infinite, a plan depends on the seed alone."""

    evaluations: int = 100_000
    seconds: float = 1.0
    seed: int = 0


class Annealing:
    """One search from one draft. After `run`, draft holds the best that was found, never worse than the first."""

    def __init__(
        self, compact: Compact, draft: Draft, effort: Effort, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.draft = draft
        self.evaluations = 0
        self._compact = compact
        self._effort = effort
        self._clock = clock
        self._random = random.Random(effort.seed)  # noqa: S311 - no secret
        self._timing = Timing(compact)
        self._parents = [frozenset(parent for parent, _ in mine) for mine in compact.parents]
        self._near = [[other for other, datum in (*before, *behind) if datum >= 0] for before, behind in zip(compact.parents, compact.children, strict=True)]
        self._spent = _Spent(compact, draft.choice)

    def run(self, good_enough: float) -> None:
        """Search until the effort is spent, or the score is as low as this."""
        started = self._clock()
        order, choice = self.draft.order, self.draft.choice
        timing, compact, draw = self._timing, self._compact, self._random
        score = best = self._score(timing.run(order, choice))
        if best == math.inf or not order:
            return
        critical = timing.critical_path(choice)
        heat = 0.0
        while best > good_enough:
            if self.evaluations % BATCH == 0:
                part = self._part(started)
                if part >= 1:
                    break
                heat = HEAT * best * (1 - part) ** 2
            self.evaluations += 1
            job = draw.choice(critical) if draw.random() < PK else draw.randrange(len(order))
            changes = self._choose(job, choice) if draw.random() < PC else {}
            new_order, new_choice = order, choice
            if not changes or draw.random() < PO:
                new_order = self._reorder(order, job)
            if changes:
                new_choice = choice.copy()
                for one, changed in changes.items():
                    self._spent.change(choice[one], changed)
                    new_choice[one] = changed
            makespan = timing.run(new_order, new_choice) if self._spent.allowed() else math.inf
            new_score = self._score(makespan)
            worse = new_score - score
            if worse > 0 and (not heat or draw.random() >= math.exp(-worse / heat)):
                for one, changed in changes.items():
                    self._spent.change(changed, choice[one])
                continue
            order, choice, score = (sorted(new_order, key=timing.starts.__getitem__) if NORM else new_order), new_choice, new_score
            critical = timing.critical_path(choice)
            if score < best:
                best = score
                self.draft = Draft(order, choice, makespan)

    def trim(self, good_enough: float) -> None:
        """Give back nodes that buy no time: cheaper choices for single jobs, as long as the score gets no worse."""

    def _part(self, started: float) -> float:
        effort = self._effort
        part = self.evaluations / effort.evaluations if effort.evaluations else 1.0
        if effort.seconds < math.inf:
            part = max(part, (self._clock() - started) / effort.seconds if effort.seconds > 0 else 1.0)
        return part

    def _score(self, makespan: float) -> float:
        problem = self._compact.problem
        if problem.objective == "time":
            return makespan
        late = max(0.0, makespan / problem.constraints.deadline - 1)
        return self._spent.total * (1 + 100 * late) + 100 * late

    def _choose(self, job: int, choice: Sequence[int]) -> dict[int, int]:
        """Another choice for a job, and often for some of its parents and children, to go with it to its new site."""
        compact, draw = self._compact, self._random
        changed = draw.choice(compact.of_work[compact.work[job]])
        if changed == choice[job]:
            return {}
        changes = {job: changed}
        site = compact.choices.site[changed]
        while draw.random() < PN:
            near = self._near[job]
            if not near:
                break
            job = draw.choice(near)
            here = [one for one in compact.of_work[compact.work[job]] if compact.choices.site[one] == site]
            if job in changes or not here:
                break
            changes[job] = draw.choice(here)
        return {job: changed for job, changed in changes.items() if changed != choice[job]}

    def _reorder(self, order: Sequence[int], job: int) -> list[int]:
        """A copy with the job elsewhere, mostly earlier, between its parents and its children."""
        parents = self._parents
        place = order.index(job)
        new = list(order)
        if self._random.random() < 0.8:
            mine = parents[job]
            last = max(0, place - REACH)
            low = place
            while low > last and order[low - 1] not in mine:
                low -= 1
            target = self._random.randint(low, place)
        else:
            last = min(len(order) - 1, place + REACH)
            high = place
            while high < last and job not in parents[order[high + 1]]:
                high += 1
            target = self._random.randint(place, high)
        del new[place]
        new.insert(target, job)
        return new


class _Spent:
    """Node-seconds of a choice for each job, against the budgets."""

    def __init__(self, compact: Compact, choice: Sequence[int]) -> None:
        problem = compact.problem
        self._cost, self._site = compact.choices.cost, compact.choices.site
        self._budgets = [site.node_seconds for site in problem.sites]
        self._budget = problem.constraints.node_seconds
        self._limited = min([self._budget, *self._budgets]) < math.inf
        self._at_site = [0.0] * len(problem.sites)
        self.total = 0.0
        for one in choice:
            self.total += self._cost[one]
            self._at_site[self._site[one]] += self._cost[one]
        self._slack = 1e-9 * self.total

    def change(self, old: int, new: int) -> None:
        if old == new:
            return
        self.total += self._cost[new] - self._cost[old]
        self._at_site[self._site[old]] -= self._cost[old]
        self._at_site[self._site[new]] += self._cost[new]

    def allowed(self) -> bool:
        if not self._limited:
            return True
        over = (used > budget + self._slack for used, budget in zip(self._at_site, self._budgets, strict=True))
        return self.total <= self._budget + self._slack and not any(over)
