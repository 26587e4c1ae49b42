"""A run through a pilot that is up: `python -m benchmarks.clusters.commands --transport tcp DOCUMENT INPUTS OUTDIR`.

JSON on stdout, with the seconds of the whole `cwlbalsam run`.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clusters.homes import run, site_home, warm_up
from benchmarks.stores import check


def measure(document: Path, inputs: Path, outdir: Path, transport: str) -> tuple[float, int]:
    """Seconds, and the number of outputs."""
    with tempfile.TemporaryDirectory(prefix="pilot-", dir=outdir.parent) as folder:
        with site_home(Path(folder), transport=transport) as home:
            warm_up(home, Path(folder))
            started = time.perf_counter()
            told = run(home, outdir, document, inputs)
            return time.perf_counter() - started, len(told["out"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=("tcp", "spool"), required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outdir", type=Path)
    options = parser.parse_args()
    seconds, jobs = measure(options.document, options.inputs, options.outdir, options.transport)
    check(jobs == options.jobs, f"{jobs} outputs of {options.jobs} jobs")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"seconds": seconds, "peak_bytes": peak}, sys.stdout)


if __name__ == "__main__":
    main()
