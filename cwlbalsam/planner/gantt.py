"""A plan as lines of text: when the jobs of each work run, and how much of each site they take."""

import math
from collections.abc import Sequence

from cwlbalsam.planner.plan import Plan
from cwlbalsam.planner.problem import Problem

STEPS = " ▁▂▃▄▅▆▇█"
LABEL = 32


def chart(problem: Problem, plan: Plan, width: int = 100, most: int = 30) -> list[str]:
    """A row a name of works and a row a site.

    The height is the jobs, or cores, at once, of the most there are or could be. width: of the lines. most: rows of
    works; those of the shortest time are left out beyond.
    """
    columns = max(width - LABEL - 2, 10)
    rows = _work_rows(problem, plan)
    shown = sorted(rows, key=lambda row: row[2] - row[1], reverse=True)[:most]
    kept = [row for row in rows if row in shown]
    lines = [_line(label, times, columns, plan.makespan, 0.0) for label, _, _, times in kept]
    if len(rows) > len(kept):
        lines.append(f"... and {len(rows) - len(kept)} more")
    for number, site in enumerate(problem.sites):
        times = [
            (one.start, one.end, float(len(one.nodes) * one.cores)) for one in plan.placements if one.site == number
        ]
        cores = sum(window.nodes for window in site.windows) * site.cores
        if any(weight for _, _, weight in times):
            lines.append(_line(f"{site.name}: {cores} cores", times, columns, plan.makespan, float(cores)))
    return lines


Times = list[tuple[float, float, float]]
"""Start, end, weight."""


def _work_rows(problem: Problem, plan: Plan) -> list[tuple[str, float, float, Times]]:
    """(label, first start, last end, times) by the first start, of works that take nodes."""
    of_name: dict[str, Times] = {}  # a step's jobs may be of several works, where their inputs tell them apart
    for job, placed in zip(problem.jobs, plan.placements, strict=True):
        if placed.nodes:
            of_name.setdefault(problem.works[job.work].name, []).append((placed.start, placed.end, 1.0))
    rows = []
    for name, times in of_name.items():
        label = name + (f" x {len(times):,}" if len(times) > 1 else "")
        rows.append((label, min(one[0] for one in times), max(one[1] for one in times), times))
    return sorted(rows, key=lambda row: (row[1], row[2], row[0]))


def _line(label: str, times: Times, columns: int, span: float, full: float) -> str:
    heights = _heights(times, columns, span)
    top = full or max(heights, default=0.0)
    marks = (STEPS[min(math.ceil(one / top * 8 - 1e-9), 8)] if top else " " for one in heights)
    short = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
    return f"{short:{LABEL}} {''.join(marks)}".rstrip()


def _heights(times: Sequence[tuple[float, float, float]], columns: int, span: float) -> list[float]:
    """Mean weight of what runs in each of so many parts of the time from 0 to span."""
    found = [0.0] * columns
    change = [0.0] * (columns + 1)
    for start, end, weight in times:
        if not span or end <= start:
            continue
        first = min(int(start / span * columns), columns - 1)
        last = min(int(end / span * columns), columns - 1)
        if first == last:
            found[first] += (end - start) / span * columns * weight
            continue
        found[first] += (first + 1 - start / span * columns) * weight
        found[last] += (end / span * columns - last) * weight
        change[first + 1] += weight
        change[last] -= weight
    running = 0.0
    for column in range(columns):
        running += change[column]
        found[column] += running
    return found
