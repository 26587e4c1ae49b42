"""Time to solution over several sites with queues, by our policy of pilots and by what others do.

An instant takes half a minute. What is measured is kept beside the results, an instant a file, for as long as the code
that made it is the same: whoever is interrupted, or has `--minutes` only, goes on where the last call has stopped.
"""

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from math import inf
from pathlib import Path
from statistics import fmean, median

import click
import msgspec

from benchmarks.planner.instants import AFTER_DAYS, OURS, Run, compare_at, moments_of, read_sites
from benchmarks.planner.page import RESULTS, Cell, Page, data_option

INSTANTS = 50
ROOT = Path(__file__).resolve().parents[2]
CODE = {
    "benchmarks/planner": ("instants", "rivals", "workloads"),
    "cwlbalsam/planner": ("packing", "pilot_actions", "pilots"),
    "cwlbalsam/planner/queues": ("easy", "machine", "profile", "requests"),
    "cwlbalsam/planner/simulate": ("campaign", "load", "others", "policies", "situation", "swf", "work"),
}
"""What the numbers come from."""
COLUMNS = [
    "work",
    "policy",
    "median h",
    "mean h",
    "x ours",
    "median of x ours",
    "wasted",
    "others, 7 d",
    "others, 30 d",
    "pilots",
    "cancelled",
]
NOTES = [
    "instants of Theta's and KTH-SP2's year and of a made-up one (1,024 nodes, 80 % load), replayed under EASY; at"
    " each, an ensemble of 20,000 node-hours (jobs of 1-64 nodes, 5-60 minutes) and one of 12 recorded workflows",
    "at every site 20 batch jobs of ours at most; sizes and times within what the log shows that others asked for"
    " (Theta: 128 nodes at least)",
    "run times differ from what is expected by 10 % (log-normal), 1 % of the attempts fail; no transfers",
    "those that bind jobs to sites (HEFT, random, round robin) ask for one batch job of half of each site, and for"
    " another when that was not enough; *a batch job a job* goes where the fewest of ours are; a site alone is left out"
    " where it would need more than 5 days were it empty",
    "holes are known exactly here, as the replayed rules are the machine's own: no probe fails",
    "*x ours*: ratio of the medians; *median of x ours*: of the ratios at each instant; *wasted*: of the node-hours"
    " held, those that ended in no result; *others*: change of the mean wait of all other users' batch jobs that were"
    " waiting at the instant or came within so many days after it; a run is given up after 20 days",
    "the policy's defaults were once chosen on 10 instants of these logs; which ones is not recorded"
    ", so they may be among these",
]


def measure(data: Path, parts: Path, instants: int, seconds: float, jobs: int) -> Page | None:
    """parts: folder of the instants that are measured already. Returns nothing if that was not all within the time."""
    folder = parts / _digest()
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + seconds
    missing = [number for number in range(instants) if not (folder / str(number)).exists()]
    if missing:
        moments = moments_of(read_sites(data), instants)
        workflows = sorted((data / "wfinstances").glob("*.json"))
        cases = ((number, moments[number], workflows[number % len(workflows)]) for number in missing)
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
            running: set[Future[list[Run]]] = set()
            for case in cases:
                if time.monotonic() >= until:
                    break
                running.add(pool.submit(compare_at, *case))
                if len(running) == jobs:
                    _keep(running, folder)
            while running:
                _keep(running, folder)
    missing = [number for number in missing if not (folder / str(number)).exists()]
    if missing:
        print(f"{instants - len(missing)} of {instants} instants are measured", file=sys.stderr, flush=True)
        return None
    runs = [msgspec.msgpack.decode((folder / str(number)).read_bytes(), type=list[Run]) for number in range(instants)]
    return _page([run for found in runs for run in found], instants)


def _keep(running: set[Future[list[Run]]], folder: Path) -> None:
    """Wait for one at least, and write it down."""
    for done in wait(running, return_when=FIRST_COMPLETED).done:
        running.remove(done)
        found = done.result()
        part = folder / "part"
        part.write_bytes(msgspec.msgpack.encode(found))
        part.replace(folder / str(found[0].instant))
        print(f"instant {found[0].instant}", file=sys.stderr, flush=True)


def _digest() -> str:
    files = [ROOT / folder / f"{name}.py" for folder, names in CODE.items() for name in names]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _page(runs: Sequence[Run], instants: int) -> Page:
    rows: list[list[Cell]] = []
    for work in dict.fromkeys(run.work for run in runs):
        ours = {run.instant: run.outcome.seconds for run in runs if (run.work, run.policy) == (work, OURS)}
        for policy in dict.fromkeys(run.policy for run in runs if run.work == work):
            rows.append(_row(work, policy, [run for run in runs if (run.work, run.policy) == (work, policy)], ours))
    details: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        details.setdefault(run.work, {}).setdefault(run.policy, []).append(round(run.outcome.seconds, 1))
    return Page(
        title="Time to solution over three sites with queues",
        columns=COLUMNS,
        rows=rows,
        notes=[f"{instants} {NOTES[0]}", *NOTES[1:]],
        details=details,
    )


def _row(work: str, policy: str, runs: Sequence[Run], ours: Mapping[int, float]) -> list[Cell]:
    seconds = [run.outcome.seconds for run in runs]
    held = sum(run.outcome.held for run in runs)
    change = [sum(run.others[days] for run in runs) / sum(run.alone[days] for run in runs) - 1 for days in AFTER_DAYS]
    return [
        work,
        policy,
        median(seconds) / 3600,
        fmean(seconds) / 3600 if max(seconds) < inf else "not all ended",
        median(seconds) / median(ours.values()),
        median(run.outcome.seconds / ours[run.instant] for run in runs),
        f"{1 - sum(run.outcome.useful for run in runs) / held:.1%}",
        *(f"{share:+.1%}" for share in change),
        fmean(run.outcome.pilots for run in runs),
        fmean(run.outcome.cancelled for run in runs),
    ]


@click.command("holes", help=__doc__)
@data_option
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
@click.option("--minutes", type=float, default=inf, help="After these no further instant is begun.  [default: all]")
@click.option("--instants", default=INSTANTS, show_default=True, help="Fewer, for a quick look: they are other ones.")
@click.option("--jobs", default=len(os.sched_getaffinity(0)), help="Instants at a time.  [default: as there are cores]")
def main(data: Path, results: Path, minutes: float, instants: int, jobs: int) -> None:
    page = measure(data, results / "planner-holes.parts" / str(instants), instants, minutes * 60, jobs)
    if page is not None:
        page.write("holes", results)
        click.echo("\n".join(page.table()))
