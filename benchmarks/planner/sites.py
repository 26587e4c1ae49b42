"""Run times of nf-core tasks (Lotaru): learned on small inputs on one machine, predicted on full ones on two others."""

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.planner.page import Cell, Page, measured
from cwlbalsam.planner.models.application import ApplicationModel
from cwlbalsam.planner.models.observation import Observation, Prior, Setting, SiteSpeed

TITLE = "Run times of nf-core tasks on other machines, at full input (Lotaru)"
HERE, THERE = "local", ("c2", "n1")
WORKFLOWS = ("atacseq", "bacass", "chipseq")
TRAINING, FULL = frozenset({"train-1", "train-2"}), "test"
BENCH_DEVIATION = 0.2
"""What a micro-benchmark tells of a machine's speed for a task: within a fifth, as its own repetitions and other
tasks' ratios differ."""
SAME_MACHINE = SiteSpeed(log_slowness=0.0, deviation=0.01)
Rows = list[tuple[float, float]]  # (bytes, seconds)


class Task(Struct):
    """seen: on the machine here; full: on others, by machine."""

    seen: Rows
    full: dict[str, Rows]


def read_tasks(data: Path) -> dict[tuple[str, str], Task]:
    """By workflow and task, in the order of the files; those with runs both here and there."""
    tasks: dict[tuple[str, str], Task] = defaultdict(lambda: Task([], {machine: [] for machine in THERE}))
    for machine in (HERE, *THERE):
        for workflow in WORKFLOWS:
            with (data / "perf" / "lotaru" / f"{machine}_{workflow}.csv").open(encoding="utf-8") as lines:
                for row in csv.DictReader(lines):
                    run = (float(row["TaskInputSizeUncompressed"]), float(row["Realtime"]) / 1000)
                    task = tasks[workflow, row["Task"]]
                    if machine == HERE and row["Label"] in TRAINING:
                        task.seen.append(run)
                    elif machine != HERE and row["Label"] == FULL:
                        task.full[machine].append(run)
    return {key: task for key, task in tasks.items() if task.seen and any(task.full.values())}


def read_slowness(data: Path) -> dict[tuple[str, str, str], float]:
    """How many times slower each machine is than the one here, by (machine, workflow, task) with a micro-benchmark."""
    seconds: dict[tuple[str, str, str], float] = {}
    for machine in (HERE, *THERE):
        with (data / "perf" / "lotaru" / f"bio-bench-{machine}.csv").open(encoding="utf-8") as lines:
            for workflow, task, _, *times in list(csv.reader(lines))[1:]:
                median = statistics.median(map(float, times))
                if median > 0 and median != 1.0:  # -1 and 1 stand for "not measured" in these files
                    seconds[machine, workflow.lower(), task] = median
    return {
        (machine, workflow, task): there / seconds[HERE, workflow, task]
        for (machine, workflow, task), there in seconds.items()
        if machine != HERE and (HERE, workflow, task) in seconds
    }


def believed(own: float | None, others: Sequence[float]) -> SiteSpeed:
    """A machine's slowness for a task, from the ratios of its own micro-benchmark, if any, and of all tasks'.

    The normal model with known variances: the tasks' ratios spread around the machine's, and the task's own
    micro-benchmark tells its ratio within `BENCH_DEVIATION`.
    """
    logs = [math.log(one) for one in others]
    spread = statistics.stdev(logs)
    if own is None:
        return SiteSpeed(log_slowness=statistics.fmean(logs), deviation=math.hypot(spread, BENCH_DEVIATION))
    precisions = 1 / spread**2, 1 / BENCH_DEVIATION**2
    mean = (statistics.fmean(logs) * precisions[0] + math.log(own) * precisions[1]) / sum(precisions)
    return SiteSpeed(log_slowness=mean, deviation=BENCH_DEVIATION)


def mean(seen: Rows, _: float) -> float:
    return statistics.fmean(seconds for _, seconds in seen)


def last_mean(seen: Rows, _: float) -> float:
    """Of the last five."""
    return statistics.fmean(seconds for _, seconds in seen[-5:])


def linear(seen: Rows, size: float) -> float:
    """Least squares of seconds on bytes."""
    sizes, seconds = np.array(seen).T
    if np.ptp(sizes) == 0:
        return float(seconds.mean())
    slope, base = np.polyfit(sizes / 1e9, seconds, 1)
    return max(float(base + slope * size / 1e9), 0.1)


def lotaru(seen: Rows, size: float) -> float:
    """Linear where sizes and times go together (correlation above 0.75), else the median. Source: Bader et al. 2022."""
    sizes, seconds = np.array(seen).T
    if np.ptp(sizes) == 0 or np.ptp(seconds) == 0 or np.corrcoef(sizes, seconds)[0, 1] < 0.75:
        return float(np.median(seconds))
    return linear(seen, size)


PEERS: dict[str, Callable[[Rows, float], float]] = {
    "mean": mean,
    "mean of the last 5": last_mean,
    "linear": linear,
    "Lotaru (linear or median)": lotaru,
}


def measure(data: Path) -> Page:
    """The table of the page."""
    slowness = read_slowness(data)
    errors: dict[str, list[float]] = defaultdict(list)
    inside: list[bool] = []
    tasks = read_tasks(data)
    for (workflow, name), task in tasks.items():
        for machine, runs in task.full.items():
            others = [ratio for key, ratio in slowness.items() if key[0] == machine]
            own = slowness.get((machine, workflow, name))
            factor = own or statistics.median(others)
            speeds = {HERE: SAME_MACHINE, machine: believed(own, others)}
            middles, lows, highs = _ours(task.seen, machine, speeds, [size for size, _ in runs])
            for (size, actual), middle, low, high in zip(runs, middles, lows, highs, strict=True):
                errors["cwlbalsam"].append(abs(middle - actual) / actual)
                inside.append(low <= actual <= high)
                for peer, predict in PEERS.items():
                    here = predict(task.seen, size)
                    errors[f"{peer}, scaled"].append(abs(here * factor - actual) / actual)
                    errors[peer].append(abs(here - actual) / actual)
    rows: list[list[Cell]] = [
        [name, *_figures(found), f"{100 * np.mean(inside):.1f}" if name == "cwlbalsam" else ""]
        for name, found in sorted(errors.items(), key=lambda item: float(np.median(item[1])))
    ]
    return Page(
        title=TITLE,
        columns=["model", "median error %", "mean error %", "90 % of errors below %", "in the 90 % interval %"],
        rows=rows,
        notes=[
            f"{len(tasks)} tasks of {len(WORKFLOWS)} workflows, {len(inside)} runs at full input on",
            f"  {' and '.join(THERE)}; learned from the runs at reduced inputs on the machine {HERE}",
            "*scaled*: times the ratio of the two machines' micro-benchmarks of the task, or the median of all",
            "  tasks' ratios where it has none; cwlbalsam starts from the same ones, drawn towards their mean",
        ],
    )


def _ours(seen: Rows, machine: str, speeds: dict[str, SiteSpeed], sizes: Sequence[float]) -> list[list[float]]:
    """Medians, and the ends of the 90 % intervals."""
    observations = [
        Observation(setting=Setting(input_bytes=size, site=HERE), wall_seconds=seconds) for size, seconds in seen
    ]
    model = ApplicationModel(Prior(sites=speeds), observations)
    found = model.wall_seconds([Setting(input_bytes=size, site=machine) for size in sizes]).quantiles((0.5, 0.05, 0.95))
    return [column.tolist() for column in found.T]


def _figures(errors: list[float]) -> list[Cell]:
    percent = 100 * np.array(errors)
    return [float(np.median(percent)), float(percent.mean()), float(np.quantile(percent, 0.9))]


main = measured("sites", measure)
