"""From a job's being ready to its start: `python -m benchmarks.clusters.latency --jobs 200 --transport tcp`.

A chain of commands in a pilot that is up and has nothing else to do. The delay of one counts from the end of the
process before it, so it has all that lies between: its outputs are collected and told, the next job is handed out and
prepared. JSON on stdout.
"""

import argparse
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clusters.homes import NO_PILOT, run, site_home, site_of, warm_up
from benchmarks.documents import write_chain
from benchmarks.stores import check, closing_store
from cwlbalsam.executor.journal import read_journals


def delays(jobs: int, transport: str) -> tuple[float, list[float]]:
    """Seconds of the whole run, and of each delay."""
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-latency-") as name:
        folder = Path(name)
        with site_home(folder, transport) as home:
            warm_up(home, folder, transport)
            documents = folder / "documents"
            documents.mkdir()
            files = write_chain(documents, jobs)
            started = time.perf_counter()
            run(home, folder / "out", "--keep", *files.arguments, site=site_of(transport))
            seconds = time.perf_counter() - started
            with closing_store(home) as store:
                journals = Path(store.runs(1)[0].directory, "journals")
            ran = sorted(
                (each for each in read_journals(journals) if each.exit_code == 0), key=lambda each: each.started
            )
    check(len(ran) == jobs, f"{len(ran)} of {jobs} jobs are journalled")
    return seconds, [after.started - parent.ended for parent, after in itertools.pairwise(ran)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--transport", choices=("tcp", "spool", NO_PILOT), default="tcp")
    options = parser.parse_args()
    seconds, found = delays(options.jobs, options.transport)
    json.dump(
        {
            "seconds": seconds,
            "peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
            "figures": {
                "median ms": 1000 * statistics.median(found),
                "p95 ms": 1000 * statistics.quantiles(found, n=20)[-1],
                "most ms": 1000 * max(found),
            },
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
