"""A run through a pilot that is up: `python -m benchmarks.clusters.commands --transport tcp DOCUMENT INPUTS OUTDIR`.

JSON on stdout: the seconds of the whole `cwlbalsam run`, and the microseconds of CPU time that each part of the way
took for a job.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clusters.homes import PARTS, WITHOUT_PROCESSES, cpu_seconds, run, site_home, warm_up
from benchmarks.documents import Files
from benchmarks.stores import check


def measure(files: Files, outdir: Path, transport: str, jobs: int, *, start: bool) -> tuple[float, dict[str, float]]:
    """Seconds, and CPU seconds by part. start: processes; else jobs end as soon as a worker takes them."""
    environment = {} if start else WITHOUT_PROCESSES
    assert files.inputs is not None
    with tempfile.TemporaryDirectory(prefix="pilot-", dir=outdir.parent) as name:
        folder = Path(name)
        with site_home(folder, transport=transport) as home:
            warm_up(home, folder, environment)
            before, run_before = cpu_seconds(folder), _children_seconds()
            started = time.perf_counter()
            told = run(home, outdir, files.document, files.inputs, environment=environment)
            seconds = time.perf_counter() - started
            after = cpu_seconds(folder)
            check(len(told["out"]) == jobs, f"{len(told['out'])} outputs of {jobs} jobs")
            spent = {"run": _children_seconds() - run_before, **{part: after[part] - before[part] for part in PARTS}}
    return seconds, spent


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=("tcp", "spool"), required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--no-processes", action="store_true")
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outdir", type=Path)
    options = parser.parse_args()
    files = Files(options.document, options.inputs)
    seconds, spent = measure(
        files, options.outdir, options.transport, options.jobs, start=not options.no_processes
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {f"{part} µs": 1e6 * used / options.jobs for part, used in spent.items()}
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
