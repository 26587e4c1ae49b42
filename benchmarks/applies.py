"""The store alone: `python -m benchmarks.applies --engine sqlite`, JSON on stdout.

Each writer is a process with a run of its own; each transaction moves 64 jobs twice, as a busy run's wake-up does.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.stores import ENGINES, add_run, check, closing_store, empty_home
from cwlbalsam.jobs.model import Changes, Move, State

WAKE_UP_OUTCOMES = 64
OUTCOME = bytes(150)


def _writer(home: Path, run: str, jobs: int, begin: Any, told: Any) -> None:
    with closing_store(home) as store:
        add_run(store, run, jobs)
        begin.wait()
        for first in range(0, jobs, WAKE_UP_OUTCOMES):
            numbers = range(first, min(first + WAKE_UP_OUTCOMES, jobs))
            moves = [Move(job=n, state=State.RUNNING, time=1.0, attempt=1) for n in numbers]
            moves += [Move(job=n, state=State.JOB_FINISHED, time=2.0, attempt=1, outcome=OUTCOME) for n in numbers]
            store.apply(run, Changes(moves=moves))
        told.put(time.monotonic())
        check(store.counts(run) == {State.JOB_FINISHED: jobs}, "not all jobs have finished")


def apply_all(engine: str, jobs: int, writers: int) -> float:
    """Seconds until all jobs had finished."""
    forked = multiprocessing.get_context("fork")
    with empty_home(engine) as home:
        begin, told = forked.Barrier(writers + 1), forked.SimpleQueue()
        runs = [(home, f"run-{number}", jobs // writers, begin, told) for number in range(writers)]
        processes = [forked.Process(target=_writer, args=arguments) for arguments in runs]
        for process in processes:
            process.start()
        begin.wait()
        started = time.monotonic()
        ended: float = max(told.get() for _ in processes)
        for process in processes:
            process.join()
        check(not any(process.exitcode for process in processes), "a writer has failed")
    return ended - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=1)
    options = parser.parse_args()
    seconds = apply_all(options.engine, options.jobs, options.writers)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"jobs": options.jobs, "seconds": seconds, "peak_bytes": peak}, sys.stdout)


if __name__ == "__main__":
    main()
