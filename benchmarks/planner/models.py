"""Run times of Spark jobs (C3O) from few runs of the same job on the same machine type."""

import csv
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.planner.page import Cell, Page, measured
from benchmarks.planner.regressors import ernest, gaussian_process, least_squares
from cwlbalsam.planner.models.application import ApplicationModel
from cwlbalsam.planner.models.observation import Observation, Setting

TITLE = "Run times of Spark jobs (C3O) from 5 and 12 runs"
Floats = NDArray[np.float64]
NUMBERS = {"grep": ["p_occurrence"], "pagerank": ["pages", "links", "convergence_criterion"], "sort": ["line_length"]}
DRAWS = 12
SAMPLES = (5, 12)
FEW_NODES = 6
"""Where more nodes than seen are predicted, runs on at most so many are learned from and all others predicted: up to
twice as many."""
PEERS = {"least squares in logs": least_squares, "Ernest": ernest, "log-linear + GP": gaussian_process}


class Runs(Struct, frozen=True):
    """Of one job on one machine type."""

    settings: list[Setting]
    seconds: Floats


class Score(Struct):
    """Over all predictions of one model. errors: absolute, relative; by_group: medians; inside: the 90 % interval."""

    errors: list[Floats] = []
    medians: list[float] = []
    inside: list[Floats] = []
    fit_seconds: list[float] = []


def read_runs(data: Path) -> dict[tuple[str, str], Runs]:
    """By job and machine type."""
    found: dict[tuple[str, str], list[tuple[Setting, float]]] = defaultdict(list)
    for job, names in NUMBERS.items():
        with (data / "perf" / "c3o" / f"{job}.tsv").open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                setting = Setting(
                    nodes=int(row["instance_count"]),
                    input_bytes=float(row["data_size_MB"]) * 1e6,
                    numbers={name: float(row[name]) for name in names},
                )
                found[job, row["machine_type"]].append((setting, float(row["gross_runtime"])))
    return {key: Runs([one for one, _ in rows], np.array([it for _, it in rows])) for key, rows in found.items()}


def split(runs: Runs, samples: int, draw: int, more_nodes: bool) -> tuple[list[int], list[int]]:
    """Runs to learn from, and all others: the same for every model."""
    rng = np.random.default_rng([draw, samples])
    nodes = np.array([one.nodes for one in runs.settings])
    pool = np.flatnonzero(nodes <= FEW_NODES) if more_nodes else np.arange(len(nodes))
    seen = rng.permutation(pool)[:samples]
    rest = np.flatnonzero(nodes > FEW_NODES) if more_nodes else np.setdiff1d(np.arange(len(nodes)), seen)
    return seen.tolist(), rest.tolist()


def measure(data: Path) -> Page:
    """The table of the page."""
    rows: list[list[Cell]] = []
    runs = read_runs(data)
    for more_nodes in (False, True):
        for samples in SAMPLES:
            scores: dict[str, Score] = {"cwlbalsam": Score(), **{name: Score() for name in PEERS}}
            for group in runs.values():
                for draw in range(DRAWS):
                    _one(group, *split(group, samples, draw, more_nodes), scores)
            what = "more nodes than seen" if more_nodes else "any configuration"
            rows += [[what, samples, name, *_figures(score)] for name, score in scores.items()]
    return Page(
        title=TITLE,
        columns=[
            "predicted",
            "runs seen",
            "model",
            "median error %",
            "mean error %",
            "median of each job %",
            "in the 90 % interval %",
            "ms a fit",
        ],
        rows=rows,
        notes=[
            f"{len(runs)} pairs of job and machine type, {DRAWS} random draws each; errors are absolute and relative",
            "  to the run's time, over all runs that were not drawn; *median of each job* is the mean of the",
            "  medians that each pair and draw has, so that pairs with few runs count as much as others",
            f"more nodes than seen: learned from runs on at most {FEW_NODES} nodes, predicted on 8, 10 and 12",
        ],
    )


def _one(runs: Runs, seen: list[int], rest: list[int], scores: dict[str, Score]) -> None:
    known, seconds = [runs.settings[one] for one in seen], runs.seconds[seen]
    distinct, where = _distinct([runs.settings[one] for one in rest])
    actual = runs.seconds[rest]
    begun = time.perf_counter()
    model = ApplicationModel(
        observations=[Observation(setting=one, wall_seconds=float(s)) for one, s in zip(known, seconds, strict=True)]
    )
    scores["cwlbalsam"].fit_seconds.append(time.perf_counter() - begun)
    low, middle, high = model.wall_seconds(distinct).quantiles((0.05, 0.5, 0.95))[where].T
    _count(scores["cwlbalsam"], middle, actual)
    scores["cwlbalsam"].inside.append((actual >= low) & (actual <= high))
    for name, peer in PEERS.items():
        begun = time.perf_counter()
        forecast = peer(known, seconds, distinct)[where]
        scores[name].fit_seconds.append(time.perf_counter() - begun)
        _count(scores[name], forecast, actual)


def _distinct(settings: Sequence[Setting]) -> tuple[list[Setting], list[int]]:
    """Each setting once, and which of them each one is."""
    number: dict[str, int] = {}
    found: list[Setting] = []
    for one in settings:
        if repr(one) not in number:
            number[repr(one)] = len(found)
            found.append(one)
    return found, [number[repr(one)] for one in settings]


def _count(score: Score, forecast: Floats, actual: Floats) -> None:
    errors = 100 * np.abs(forecast - actual) / actual
    score.errors.append(errors)
    score.medians.append(float(np.median(errors)))


def _figures(score: Score) -> list[Cell]:
    errors = np.concatenate(score.errors)
    inside = f"{100 * np.concatenate(score.inside).mean():.1f}" if score.inside else ""
    fit = 1000 * float(np.mean(score.fit_seconds))
    return [float(np.median(errors)), float(errors.mean()), float(np.mean(score.medians)), inside, fit]


main = measured("models", measure)
