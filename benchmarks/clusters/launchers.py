"""Launchers that contend for jobs without processes: `python -m benchmarks.clusters.launchers --agents 2`.

Each agent serves a run of its own with its share of launchers; the runs are on one store. JSON on stdout. It fails
unless each job has run exactly once, and no launcher got less than half of an even share.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.clusters.commands import busy_seconds
from benchmarks.clusters.homes import WITHOUT_PROCESSES, describe_sites, run
from benchmarks.documents import Files, write_nothing
from benchmarks.stores import ENGINES, check, empty_home
from cwlbalsam.executor.journal import read_journals

UP_SECONDS = 120.0
WARM_JOBS = 1000


def contend(engine: str, jobs: int, agents: int, launchers: int) -> tuple[float, list[int]]:
    """Seconds from the first job's being handed out to the last outcome, and how many jobs each launcher got."""
    sites = [f"site{number}" for number in range(agents)]
    each = launchers // agents
    pilots = {"nodes": 1, "total_nodes": each, "min": each, "max": each, "wall": "30m", "idle": "5m"}
    with ExitStack() as stack:
        home = stack.enter_context(empty_home(engine))
        stack.enter_context(
            describe_sites(
                home,
                {
                    name: {"pilots": pilots, "work": str(home / name), "nodes": {"cores": 1}, "transport": "tcp"}
                    for name in sites
                },
            )
        )
        warm, files = (
            _documents(home / name, count) for name, count in (("warm", WARM_JOBS), ("jobs", jobs // agents))
        )
        for site in sites:
            _await_launchers(home, warm, site, each)
        with ThreadPoolExecutor(agents) as threads:
            told = list(threads.map(lambda site: _run(home, files, site), sites))
        seconds = busy_seconds(home, agents)
        for site, nodes in zip(sites, told, strict=True):
            check(len(nodes) == jobs // agents, f"{len(nodes)} outputs")
            _check_once(home / site, jobs // agents)
    shares = sorted(Counter(node for nodes in told for node in nodes).values())
    check(len(shares) == launchers and shares[0] >= jobs / launchers / 2, f"a launcher starves: {shares}")
    return seconds, shares


def _documents(folder: Path, jobs: int) -> Files:
    folder.mkdir()
    return write_nothing(folder, jobs)


def _run(home: Path, files: Files, site: str) -> Sequence[int]:
    """Which node ran each job."""
    told = run(home, home / "out", "--keep", *files.arguments, site=site, environment=WITHOUT_PROCESSES)
    return list(told["out"])


def _await_launchers(home: Path, files: Files, site: str, launchers: int) -> None:
    until = time.monotonic() + UP_SECONDS
    while len(set(_run(home, files, site))) < launchers:
        check(time.monotonic() < until, "not all launchers come up")
        shutil.rmtree(home / site / "runs")
    shutil.rmtree(home / site / "runs")


def _check_once(work: Path, jobs: int) -> None:
    (folder,) = (work / "runs").iterdir()
    ran = Counter(outcome.job for outcome in read_journals(folder / "journals") if "out" in outcome.outputs)
    check(max(ran.values()) == 1 and len(ran) >= jobs, "not every job has run exactly once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--launchers", type=int, default=8, help="of all agents together")
    options = parser.parse_args()
    seconds, shares = contend(options.engine, options.jobs, options.agents, options.launchers)
    even = options.jobs / options.launchers
    json.dump(
        {
            "seconds": seconds,
            "peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
            "figures": {
                "jobs/s": options.jobs / seconds,
                "least share %": 100 * shares[0] / even,
                "most share %": 100 * shares[-1] / even,
            },
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
