"""How long a batch job will wait: a median to plan with, and a bound that holds 95 times of 100.

Forecasters of either quantile (waits of like arrivals, near and wide; the size class's history; each estimate that the
arrival brings, scaled by what such estimates were worth so far) are blended by their past losses; a tracker then keeps
the bound right as often as it claims. All that is learned is known at that time: waits when jobs start, and that a
bound was missed as soon as a job has waited longer.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from cwlbalsam.planner.queues.arrival import Arrival, coordinates
from cwlbalsam.planner.queues.blend import Blend, Tracker
from cwlbalsam.planner.queues.neighbours import Neighbours, quantile

MEDIAN, BOUND = 0.5, 0.95
NEAR, WIDE = 50, 400
"""Neighbours: few are more alike, many tell more of the tail; which is better is left to the blend."""
CLASS_MEMORY = 500
GRACE_SECONDS = 60.0
"""Added before the bound is scaled: schedulers look at their queue about once a minute, and 0 cannot be scaled."""
AIM = 0.955
"""What the tracker aims at: a little above the level, for it is right in the long run only."""
STEP, MOST = 0.02, 3.0
"""Of caution: each miss makes the bounds' remaining risk 2 % smaller, 20 times at the most."""
STRETCH = 0.15
"""Of caution, in the logarithm of the bound: beyond the longest wait of like arrivals only a factor leads."""
FIRST_GUESS_SECONDS = 3600.0


class WaitForecast(Struct, frozen=True, kw_only=True):
    """Seconds. medians, bounds: what each forecaster said, in the order of `WaitModel.forecasters`."""

    median_seconds: float
    bound_seconds: float
    medians: tuple[float, ...]
    bounds: tuple[float, ...]


class _Open(Struct):
    row: int
    arrival: Arrival
    forecast: WaitForecast
    missed: bool = False


class _Scaled:
    """Forecasts a quantile of the wait from an estimate of it, by tracking the factor between them."""

    def __init__(self, level: float) -> None:
        self._tracker = Tracker(level, step=0.1, most=4.0)  # of the factor's logarithm

    def forecast(self, estimate: float) -> float:
        return (estimate + GRACE_SECONDS) * math.exp(self._tracker.value) - GRACE_SECONDS

    def learn(self, estimate: float, wait: float) -> None:
        self._tracker.learn(wait <= self.forecast(estimate))


class WaitModel:
    """Of one queue. estimators: names of the estimates that arrivals bring; others are ignored."""

    def __init__(self, estimators: Sequence[str] = ()) -> None:
        self._names = tuple(estimators)
        self._near = Neighbours(6 + len(self._names))
        self._history: dict[int, deque[float]] = {}
        self._scaled = {level: [_Scaled(level) for _ in self._names] for level in (MEDIAN, BOUND)}
        self._blends = {level: Blend(level, len(self.forecasters)) for level in (MEDIAN, BOUND)}
        self._caution = Tracker(AIM, STEP, MOST)
        self._open: dict[str, _Open] = {}
        self._due: list[tuple[float, str]] = []  # heap: when each open job will have outlasted its bound

    @property
    def forecasters(self) -> tuple[str, ...]:
        """Their names."""
        return (f"{NEAR} nearest", f"{WIDE} nearest", "size class", *self._names)

    def weights(self, level: float = MEDIAN) -> dict[str, float]:
        """What each forecaster counts at present, for `MEDIAN` or `BOUND`."""
        return dict(zip(self.forecasters, self._blends[level].weights(), strict=True))

    def estimate(self, arrival: Arrival) -> WaitForecast:
        """For a batch job that might be handed in now. Without any history: an hour."""
        self._expire(arrival.time)
        medians, bounds = self._forecasts(arrival)
        median = self._blends[MEDIAN].mix(medians)
        stretch = math.exp(STRETCH * self._caution.value)
        bound = (self._blends[BOUND].mix(bounds) + GRACE_SECONDS) * stretch
        return WaitForecast(median_seconds=median, bound_seconds=max(bound, median), medians=medians, bounds=bounds)

    def submitted(self, job: str, arrival: Arrival, forecast: WaitForecast) -> None:
        """A batch job (anybody's) was handed in. forecast: what was estimated for it."""
        row = self._near.add(coordinates(arrival, self._names), arrival.time)
        self._open[job] = _Open(row, arrival, forecast)
        heapq.heappush(self._due, (arrival.time + forecast.bound_seconds, job))

    def started(self, job: str, time: float) -> None:
        """Its wait is over: learn. Does nothing for a job that is not known."""
        self._expire(time)
        found = self._open.pop(job, None)
        if found is None:
            return
        wait, arrival = max(0.0, time - found.arrival.time), found.arrival
        self._near.start(found.row, wait)
        self._history.setdefault(_size_class(arrival.nodes), deque(maxlen=CLASS_MEMORY)).append(wait)
        for level, said in ((MEDIAN, found.forecast.medians), (BOUND, found.forecast.bounds)):
            self._blends[level].learn(said, wait)
            for name, scaled in zip(self._names, self._scaled[level], strict=True):
                scaled.learn(arrival.estimates.get(name, 0.0), wait)
        if not found.missed:
            self._caution.learn(hit=True)

    def withdrawn(self, job: str) -> None:
        """It was cancelled before it started: nothing is learned but that it had waited so long."""
        self._open.pop(job, None)

    def _forecasts(self, arrival: Arrival) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The median and the bound of each forecaster."""
        if self._near.count:
            place = coordinates(arrival, self._names)
            past = np.sort(self._history.get(_size_class(arrival.nodes), [FIRST_GUESS_SECONDS]))
            ranks = np.arange(1, len(past) + 1) / (len(past) + 1)
            known = [*self._near.nearest(place, arrival.time, (NEAR, WIDE)), (past, ranks)]
        else:
            known = [(np.array([FIRST_GUESS_SECONDS]), np.ones(1))] * 3
        cautious = 1.0 - (1.0 - BOUND) * math.exp(-self._caution.value)
        said = []
        for level, asked in ((MEDIAN, MEDIAN), (BOUND, cautious)):
            scaled = zip(self._names, self._scaled[level], strict=True)
            told = [max(0.0, one.forecast(arrival.estimates.get(name, 0.0))) for name, one in scaled]
            said.append((*(quantile(waits, below, asked) for waits, below in known), *told))
        return said[0], said[1]

    def _expire(self, time: float) -> None:
        """A bound is missed when it passes, not when the job starts at last."""
        while self._due and self._due[0][0] < time:
            found = self._open.get(heapq.heappop(self._due)[1])
            if found is not None and not found.missed:
                found.missed = True
                self._caution.learn(hit=False)


def _size_class(nodes: int) -> int:
    """Powers of 4."""
    return (max(nodes, 1) - 1).bit_length() // 2
