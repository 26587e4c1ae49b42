"""Is the simulator right, and fast? KTH-SP2 against pyss, start for start; a year of Theta against the clock."""

import gzip
import time
from math import inf
from pathlib import Path

from benchmarks.planner.page import Cell, Page, measured
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.simulate.statistics import bounded_slowdown
from cwlbalsam.planner.simulate.statistics import measure as statistics
from cwlbalsam.service.simulate import read_log

KTH, ORACLE, THETA = "swf/KTH-SP2-1996.swf.gz", "swf/KTH-SP2-1996.pyss-easy.swf.gz", "swf/ALCF-Theta-2022.swf.gz"
COLUMNS = [
    "log",
    "policy",
    "jobs",
    "nodes",
    "bounded slowdown",
    "oracle's",
    "same starts",
    "mean wait s",
    "utilisation",
    "wall s",
]


def measure(data: Path) -> Page:
    rows = []
    for name, nodes in ((KTH, 100), (THETA, 4360)):
        for policy in ("easy", "conservative"):
            rows.append(_run(data / name, nodes, policy, data / ORACLE if (name, policy) == (KTH, "easy") else None))
    notes = [
        "the oracle is pyss, as recorded in the data: its bounded slowdown is computed from the waits that it wrote;"
        " *same starts* are jobs that start in the very second in which they start there",
        "wall time is of the simulation alone, all jobs of the log, without reading it; once, in one process",
    ]
    return Page(title="Batch machines as simulated and as recorded", columns=COLUMNS, rows=rows, notes=notes)


def _run(path: Path, nodes: int, policy: str, oracle: Path | None) -> list[Cell]:
    log = read_log(path)
    machine = Machine(nodes, policy, log.requests)
    began = time.perf_counter()
    machine.advance(inf)
    seconds = time.perf_counter() - began
    found = statistics(log.requests, machine.starts, nodes)
    slowdown: Cell = ""
    same: Cell = ""
    if oracle is not None:
        recorded = _read_oracle(oracle)
        slowdown = sum(bounded_slowdown(wait, run) for _, wait, run in recorded.values()) / len(recorded)
        hits = sum(machine.starts.get(name) == arrived + wait for name, (arrived, wait, _) in recorded.items())
        same = f"{hits:,} of {len(recorded):,}"
    return [
        path.name,
        policy,
        found.jobs,
        nodes,
        f"{found.mean_bounded_slowdown:.3f}",
        f"{slowdown:.3f}" if isinstance(slowdown, float) else slowdown,
        same,
        found.mean_wait_seconds,
        f"{found.utilisation:.1%}",
        round(seconds, 2),
    ]


def _read_oracle(path: Path) -> dict[str, tuple[float, float, float]]:
    """(arrival, wait, run time) of each job, read apart from the simulator's own reader."""
    with gzip.open(path, "rt") as lines:
        rows = (line.split() for line in lines if line.strip() and not line.startswith(";"))
        return {row[0]: (float(row[1]), float(row[2]), float(row[3])) for row in rows}


main = measured("easy", measure)
