"""What it takes to submit commands, and to have them run: `python -m benchmarks.queue --jobs 10000`."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SINGLE = 20


def call(folder: Path, *arguments: str) -> float:
    """Run `cwlbalsam` with a home of its own; the seconds it took."""
    environment = {**os.environ, "CWLBALSAM_HOME": str(folder / "home")}
    began = time.perf_counter()
    command = [sys.executable, "-m", "cwlbalsam", *arguments]
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure(jobs: int, folder: Path) -> list[str]:
    """Lines to print."""
    true = ["-o", "/dev/null", "--", "true"]
    call(folder, "qsub", "--wait", *true)  # makes the store
    first = call(folder, "qsub", "--wait", *true)
    single = [call(folder, "qsub", *true) for _ in range(SINGLE)]
    time.sleep(4.0)  # the queue's process has ended
    began = time.perf_counter()
    submitted = call(folder, "qsub", "--array", f"1-{jobs}", *true)
    call(folder, "qsub", "--wait", "--after", str(101 + 2 + SINGLE + jobs - 1), *true)
    while _unfinished(folder):
        time.sleep(0.5)
    whole = time.perf_counter() - began
    return [
        f"one command, submitted and waited for: {first:.2f} s",
        f"a submission, the queue's process running: {statistics.median(single):.3f} s (median of {SINGLE})",
        f"{jobs:,} submissions in one call: {submitted:.2f} s ({jobs / submitted:,.0f}/s)",
        f"{jobs:,} commands `true`, from submission to the last one's end: {whole:.1f} s ({jobs / whole:,.0f}/s)",
    ]


def _unfinished(folder: Path) -> bool:
    environment = {**os.environ, "CWLBALSAM_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "cwlbalsam", "qstat"]
    return bool(subprocess.run(command, env=environment, capture_output=True, check=True).stdout.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    jobs = parser.parse_args().jobs
    folder = Path(tempfile.mkdtemp(prefix="cwlbalsam-queue-"))
    try:
        print("\n".join(measure(jobs, folder)))
        time.sleep(4.0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
