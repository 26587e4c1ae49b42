"""Runs whole commands and says what they took."""

import os
import select
import signal
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

GRACE_SECONDS = 10.0


class Sample(Struct, frozen=True, kw_only=True):
    """One run. exit_code: None if it was ended because it took too long.

    cpu_seconds: user and system time of the command and all its children. peak_bytes: of its largest process.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    exit_code: int | None


class Summary(Struct, frozen=True, kw_only=True):
    """Medians of some samples, and the spread of their wall times."""

    wall_seconds: float
    least_seconds: float
    most_seconds: float
    cpu_seconds: float
    peak_bytes: int
    samples: int


def run_timed(
    argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, timeout_seconds: float, output: Path
) -> Sample:
    """Run a command to its end, or to the time limit; stdout goes to `output`, stderr to `output`.err."""
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        handle = os.pidfd_open(process.pid)
        try:
            finished = _wait(handle, timeout_seconds)
            if not finished:
                os.killpg(process.pid, signal.SIGTERM)
                if not _wait(handle, GRACE_SECONDS):
                    os.killpg(process.pid, signal.SIGKILL)
        finally:
            os.close(handle)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: Popen must not wait for it
    return Sample(
        wall_seconds=wall,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        exit_code=process.returncode if finished else None,
    )


def summarise(samples: Sequence[Sample]) -> Summary:
    """Medians. Raises ValueError if there are no samples."""
    if not samples:
        raise ValueError("no samples")
    walls = [sample.wall_seconds for sample in samples]
    return Summary(
        wall_seconds=statistics.median(walls),
        least_seconds=min(walls),
        most_seconds=max(walls),
        cpu_seconds=statistics.median(sample.cpu_seconds for sample in samples),
        peak_bytes=int(statistics.median(sample.peak_bytes for sample in samples)),
        samples=len(samples),
    )


def median_ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    """How many times longer theirs took: the median over the rounds, in which both ran one after the other."""
    pairs = zip(ours, theirs, strict=False)
    return statistics.median(their.wall_seconds / our.wall_seconds for our, their in pairs)


def _wait(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
