"""A run through a pilot that is up: `python -m benchmarks.clusters.commands --transport tcp DOCUMENT INPUTS OUTDIR`.

JSON on stdout: the seconds of the whole `cwlbalsam run`; the rate from when its first job was handed out to when the
last outcome was taken; and the microseconds of CPU time that each part of the way took for a job.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.clusters.homes import NO_PILOT, PARTS, WITHOUT_PROCESSES, cpu_seconds, run, site_home, site_of, warm_up
from benchmarks.documents import Files
from benchmarks.stores import check, closing_store


def measure(
    files: Files, outdir: Path, transport: str, jobs: int, environment: Mapping[str, str]
) -> tuple[float, dict[str, float]]:
    """Seconds, and figures by their names."""
    with tempfile.TemporaryDirectory(prefix="pilot-", dir=outdir.parent) as name:
        folder = Path(name)
        with site_home(folder, transport) as home:
            warm_up(home, folder, transport, environment)
            before, run_before = cpu_seconds(folder), _children_seconds()
            started = time.perf_counter()
            told = run(home, outdir, *files.arguments, site=site_of(transport), environment=environment)
            seconds = time.perf_counter() - started
            after = cpu_seconds(folder)
            check(len(told["out"]) == jobs, f"{len(told['out'])} outputs of {jobs} jobs")
            figures = {"jobs/s": jobs / busy_seconds(home)}
            spent = {"run": _children_seconds() - run_before, **{part: after[part] - before[part] for part in PARTS}}
    if transport != NO_PILOT:
        figures |= {f"{part} µs": 1e6 * used / jobs for part, used in spent.items()}
    return seconds, figures


def busy_seconds(home: Path, runs: int = 1) -> float:
    """From the first to the last change of state of the newest runs' jobs that a coordinator has written."""
    with closing_store(home) as store:
        times = []
        for run_id in [record.id for record in store.runs(runs)]:
            jobs = {job.id for job in store.jobs(run_id) if job.kind == "job"}
            times += [event.time for event in store.events(run_id) if event.job in jobs]
    return max(times) - min(times)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=("tcp", "spool", NO_PILOT), required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--no-processes", action="store_true", help="jobs end as soon as a worker takes them")
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outdir", type=Path)
    options = parser.parse_args()
    files = Files(options.document, options.inputs)
    environment = WITHOUT_PROCESSES if options.no_processes else {}
    seconds, figures = measure(files, options.outdir, options.transport, options.jobs, environment)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
