"""Waits in two real batch queues, forecast for every job when it arrives, from what is known by then."""

import bisect
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.planner.bmbp import Bmbp, Qbets
from benchmarks.planner.page import Cell, Page, measured
from benchmarks.planner.replay import conservative_start, easy_start
from benchmarks.planner.swf import Log, read_log
from cwlbalsam.planner.queues.arrival import Arrival
from cwlbalsam.planner.queues.wait import BOUND, WaitModel

TITLE = "Waits of batch jobs at KTH and on Theta, forecast on arrival"
LOGS = {"KTH SP2": "KTH-SP2-1996.swf.gz", "Theta": "ALCF-Theta-2022.swf.gz"}
WARM_UP = 1000
"""Jobs at the beginning that no forecast is scored on."""
RATIOS = 500
"""Of used to asked time, of the latest jobs that ended: what a replay with expected times goes by."""
REPLAYS = ("replayed EASY", "requested times", "replayed EASY, expected times")
Floats = NDArray[np.float64]


class Said(Struct):
    """What each way to forecast said of each job: medians (or plain estimates) and bounds, (jobs,) each."""

    points: dict[str, Floats]
    bounds: dict[str, Floats]
    seconds: float  # of ours, for all jobs


class Expectation:
    """How much of the time that it asked for a job takes, from the latest jobs that ended."""

    def __init__(self) -> None:
        self._recent: list[float] = []
        self._sorted: list[float] = []

    def learn(self, ratio: float) -> None:
        self._recent.append(ratio)
        bisect.insort(self._sorted, ratio)
        if len(self._recent) > RATIOS:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.pop(0))]

    def rest(self, ratio: float) -> float:
        """What is still to come, in units of the asked time, when a job has used so much."""
        longer = self._sorted[bisect.bisect_right(self._sorted, ratio) :]
        if not self._sorted:
            return max(0.0, 1.0 - ratio)
        return statistics.fmean(longer) - ratio if longer else 0.02


class Machine:
    """What an onlooker knows at each moment: who waits, who runs, and since when; never what is to come."""

    def __init__(self, log: Log) -> None:
        self._log = log
        starts = log.submitted + log.waited
        moments = [(start, 1, job) for job, start in enumerate(starts)]
        moments += [(end, 0, job) for job, end in enumerate(starts + log.used)]
        self._events = iter(sorted(moments))
        self._next = next(self._events, None)
        self.queue: dict[int, float] = {}
        self.running: dict[int, float] = {}
        self._over: set[int] = set()
        self.expectation = Expectation()

    def until(self, now: float) -> Iterator[int]:
        """Jobs that start before now, while the books are brought up to date."""
        while self._next is not None and self._next[0] < now:
            moment, starts, job = self._next
            self._next = next(self._events, None)
            if starts:
                self.queue.pop(job, None)
                if job not in self._over:
                    self.running[job] = moment
                yield job
            else:
                self._over.add(job)  # jobs of no length end before they start
                self.running.pop(job, None)
                self.expectation.learn(min(self._log.used[job] / max(self._log.asked[job], 1.0), 1.2))

    def arrival(self, job: int, now: float) -> Arrival:
        """What the job meets, with the replays' answers."""
        log, size, asked = self._log, self._log.size, self._log.asked
        own = (int(size[job]), float(asked[job]))
        ahead = [(int(size[one]), float(asked[one])) for one in self.queue]
        held = [(max(start + float(asked[one]) - now, 1.0), int(size[one])) for one, start in self.running.items()]
        likely = [
            (max(self.expectation.rest((now - start) / asked[one]) * asked[one], 1.0), int(size[one]))
            for one, start in self.running.items()
        ]
        share = self.expectation.rest(0.0)
        shorter = [(nodes, wanted * share) for nodes, wanted in ahead]
        work = [nodes * wanted for nodes, wanted in ahead]
        answers = (
            easy_start(log.nodes, held, [*ahead, own]),
            conservative_start(log.nodes, held, [*ahead, own]),
            easy_start(log.nodes, likely, [*shorter, own]),
        )
        return Arrival(
            time=now,
            nodes=own[0],
            wall_seconds=own[1],
            capacity=log.nodes,
            free=log.nodes - sum(nodes for _, nodes in held),
            queued_work=sum(work),
            smaller_work=sum(one for one in work if one <= own[0] * own[1]),
            mean_age=statistics.fmean(now - since for since in self.queue.values()) if self.queue else 0.0,
            estimates=dict(zip(REPLAYS, answers, strict=True)),
        )


def replay(log: Log) -> Said:
    """Goes through the log once, all forecasters side by side."""
    jobs = len(log.submitted)
    points = {name: np.zeros(jobs) for name in ("cwlbalsam", *REPLAYS)}
    bounds = {name: np.zeros(jobs) for name in ("cwlbalsam", "BMBP", "QBETS")}
    machine, model, bmbp, qbets = Machine(log), WaitModel(REPLAYS), Bmbp(), Qbets()
    spent = 0.0
    for job in range(jobs):
        now = float(log.submitted[job])
        for other in machine.until(now):
            waited, begun = float(log.waited[other]), time.perf_counter()
            model.started(str(other), float(log.submitted[other]) + waited)
            spent += time.perf_counter() - begun
            bmbp.learn(waited, float(bounds["BMBP"][other]))
            qbets.learn(int(log.size[other]), waited, float(bounds["QBETS"][other]))
        arrival, begun = machine.arrival(job, now), time.perf_counter()
        forecast = model.estimate(arrival)
        model.submitted(str(job), arrival, forecast)
        spent += time.perf_counter() - begun
        machine.queue[job] = now
        points["cwlbalsam"][job], bounds["cwlbalsam"][job] = forecast.median_seconds, forecast.bound_seconds
        bounds["BMBP"][job], bounds["QBETS"][job] = bmbp.bound(), qbets.bound(int(log.size[job]))
        for name in REPLAYS:
            points[name][job] = arrival.estimates[name]
    return Said(points, bounds, spent)


def measure(data: Path) -> Page:
    """The table of the page."""
    rows: list[list[Cell]] = []
    cost = []
    for place, file in LOGS.items():
        log = read_log(data / "swf" / file)
        said = replay(log)
        cost.append(f"{1000 * said.seconds / len(log.submitted):.2f} ms at {place}")
        actual = log.waited[WARM_UP:]
        for name in dict.fromkeys((*said.points, *said.bounds)):
            point, bound = said.points.get(name), said.bounds.get(name)
            error = "" if point is None else f"{np.abs(point[WARM_UP:] - actual).mean() / actual.mean():.3f}"
            rows.append([place, name, error, *_figures(bound, actual)])
    return Page(
        title=TITLE,
        columns=[
            "machine",
            "forecast",
            "mean error / mean wait",
            "wait within the bound %",
            "pinball loss s",
            "median wait / bound",
        ],
        rows=rows,
        notes=[
            f"every job of the logs but the first {WARM_UP}, in order; forecasts use what is known on arrival",
            "bounds are to hold for 95 % of the jobs; the pinball loss of that quantile is lower the tighter they are",
            "the replays start from the recorded queue and running jobs; *requested times*: with a reservation for",
            "  every queued job, as schedulers tell it; *expected times*: jobs take as much of what they ask for as",
            f"  the last {RATIOS} jobs that ended",
            f"a forecast takes {' and '.join(cost)}, learning included, replays not",
        ],
    )


def _figures(bound: Floats | None, actual: Floats) -> list[Cell]:
    if bound is None:
        return ["", "", ""]
    bound = bound[WARM_UP:]
    short = actual - bound
    loss = np.maximum(BOUND * short, (BOUND - 1) * short).mean()
    return [f"{100 * (actual <= bound).mean():.1f}", f"{loss:,.0f}", f"{np.median(actual / bound):.3f}"]


main = measured("waits", measure)
