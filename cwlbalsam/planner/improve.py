"""Local search: simulated annealing over the order of the jobs and the choice for each of them."""

import math
import random
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.listing import Draft
from cwlbalsam.planner.timing import Timing

HEAT = 0.02
"""Temperature at the beginning, of the score: a plan 2 % worse passes with a probability of 1/e."""
CRITICAL = 0.7
"""Of the jobs that are moved: taken from a critical path."""
CHANGED, MOVED = 0.5, 0.7
"""Probabilities of another choice for a job, and of another place in the order beside it (without it: always)."""
EARLIER = 0.8
"""Of the moves in the order: to an earlier place."""
SWAPPED, NEAR = 0.4, 15
"""Of the changed choices: two jobs swap sites, so that the load stays even; they are so many places apart at most."""
ROUNDS = 4
"""The best plan is heated up again so often: that leads further than cooling down once, and slower."""
REACH = 200
"""Places in the order that a job is moved by, at most."""
BATCH = 16
"""Evaluations between two looks at the clock."""
TRIMMING = 0.04
"""Of the effort: kept for giving back nodes that buy no time."""


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
        self._spent = _Spent(compact, draft.choice)
        self._started = clock()
        costs = compact.choices.cost
        dearest = [max((costs[one] for one in mine), default=0.0) for mine in compact.of_work]
        self._dearest = math.fsum(
            dearest[work] for work in compact.work
        )  # so what is late is worse than all that is not

    def run(self, good_enough: float) -> None:
        """Search until the effort is spent, or the score is as low as this."""
        order, choice = self.draft.order, self.draft.choice
        self._spent = _Spent(self._compact, choice)
        timing, draw = self._timing, self._random
        score = best = self._score(timing.run(order, choice))
        if best == math.inf or not order:
            return
        timing.keep()
        critical = timing.critical_path(choice)
        heat, turn = 0.0, 0
        while best > good_enough:
            if self.evaluations % BATCH == 0:
                part = self._part() / (1 - TRIMMING) * ROUNDS
                if part >= ROUNDS:
                    break
                if int(part) > turn:
                    turn = int(part)
                    order, choice, score = self.draft.order, self.draft.choice, best
                    self._spent = _Spent(self._compact, choice)
                    timing.run(order, choice)
                    timing.keep()
                    critical = timing.critical_path(choice)
                heat = HEAT * best * (1 - part + turn) ** 2
            job = draw.choice(critical) if draw.random() < CRITICAL else draw.randrange(len(order))
            changes = self._change(order, choice, job) if draw.random() < CHANGED else {}
            new_choice = self._with(choice, changes)
            new_order, same = self._reordered(order, job, changes)
            new_score, makespan = self._try(new_order, new_choice, same)
            worse = new_score - score
            if worse > 0 and (not heat or draw.random() >= math.exp(-worse / heat)):
                timing.drop()
                self._take_back(choice, changes)
                continue
            timing.keep()
            order, choice, score = new_order, new_choice, new_score
            critical = timing.critical_path(choice)
            if new_score < best:
                best = new_score
                self.draft = Draft(order, choice, makespan)

    def trim(self) -> None:
        """Give back nodes that buy no time: the leanest choice for each job that makes the score no worse."""
        order, choice, makespan = self.draft.order, self.draft.choice, self.draft.makespan
        self._spent = _Spent(self._compact, choice)
        costs = self._compact.choices.cost
        score = self._score(self._timing.run(order, choice))
        self._timing.keep()
        for place, job in enumerate(order):
            mine = self._compact.of_work[self._compact.work[job]]
            for cheaper in sorted((one for one in mine if costs[one] < costs[choice[job]]), key=costs.__getitem__):
                if score == math.inf or self._part() >= 1:
                    return
                new_choice = self._with(choice, {job: cheaper})
                new_score, new_makespan = self._try(order, new_choice, place)
                if new_score <= score:
                    self._timing.keep()
                    choice, score, makespan = new_choice, new_score, new_makespan
                    break
                self._timing.drop()
                self._take_back(choice, {job: cheaper})
            self.draft = Draft(order, choice, makespan)

    def _change(self, order: list[int], choice: list[int], job: int) -> dict[int, int]:
        """Another choice for a job; often it changes places with a job near it in the order."""
        choices, of_work, work, draw = self._compact.choices, self._compact.of_work, self._compact.work, self._random
        changed = draw.choice(of_work[work[job]])
        if draw.random() < SWAPPED:
            place = order.index(job)
            other = order[draw.randint(max(0, place - NEAR), min(len(order) - 1, place + NEAR))]
            here, there = choices.site[choice[job]], choices.site[choice[other]]
            mine = [one for one in of_work[work[job]] if choices.site[one] == there]
            others = [one for one in of_work[work[other]] if choices.site[one] == here]
            if here != there and mine and others:
                return {job: draw.choice(mine), other: draw.choice(others)}
        return {job: changed} if changed != choice[job] else {}

    def _with(self, choice: list[int], changes: dict[int, int]) -> list[int]:
        if not changes:
            return choice
        new = choice.copy()
        for job, changed in changes.items():
            self._spent.change(choice[job], changed)
            new[job] = changed
        return new

    def _take_back(self, choice: list[int], changes: dict[int, int]) -> None:
        for job, changed in changes.items():
            self._spent.change(changed, choice[job])

    def _try(self, order: Sequence[int], choice: Sequence[int], same: int) -> tuple[float, float]:
        """Score and makespan. same: so many jobs at the beginning are as in what was kept."""
        self.evaluations += 1
        makespan = self._timing.run(order, choice, same) if self._spent.allowed() else math.inf
        return self._score(makespan), makespan

    def _part(self) -> float:
        effort = self._effort
        part = self.evaluations / effort.evaluations if effort.evaluations else 1.0
        if effort.seconds < math.inf:
            part = max(part, (self._clock() - self._started) / effort.seconds if effort.seconds > 0 else 1.0)
        return part

    def _score(self, makespan: float) -> float:
        problem = self._compact.problem
        if problem.objective == "time":
            return makespan
        if makespan <= problem.constraints.deadline:
            return self._spent.total
        return self._spent.total + self._dearest * makespan / problem.constraints.deadline

    def _reordered(self, order: list[int], job: int, changes: dict[int, int]) -> tuple[list[int], int]:
        """The order for a change: often with the job elsewhere; and how many jobs at its beginning are as before."""
        place = order.index(job)
        same = min(place, *map(order.index, changes)) if len(changes) > 1 else place
        if changes and self._random.random() >= MOVED:
            return order, same
        new, first = self._reorder(order, place)
        return new, min(same, first)

    def _reorder(self, order: list[int], place: int) -> tuple[list[int], int]:
        """A copy with the job of a place elsewhere between its parents and its children, and from where it differs."""
        job, parents = order[place], self._parents
        if self._random.random() < EARLIER:
            first, target = max(0, place - REACH), place
            while target > first and order[target - 1] not in parents[job]:
                target -= 1
            target = self._random.randint(target, place)
        else:
            last, target = min(len(order) - 1, place + REACH), place
            while target < last and job not in parents[order[target + 1]]:
                target += 1
            target = self._random.randint(place, target)
        new = order.copy()
        del new[place]
        new.insert(target, job)
        return new, min(place, target)


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
