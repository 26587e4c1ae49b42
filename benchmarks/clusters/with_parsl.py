"""`echo wN > wN.txt` for many N by Parsl's HighThroughputExecutor: with_parsl.py JOBS OUTDIR, in its own environment.

Without OUTDIR: Python functions that do nothing. JSON on stdout, with the seconds from the first submission to the last
end; the executor and its workers are up before.
"""

import json
import os
import resource
import socket
import sys
import tempfile
import time

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@parsl.python_app  # type: ignore[untyped-decorator]
def echo(number: int, outdir: str) -> None:
    import subprocess  # a function that is sent has nothing from around it

    with open(f"{outdir}/w{number}.txt", "w") as file:  # noqa: PTH123 (as quick as it can be)
        subprocess.run(["echo", f"w{number}"], stdout=file, check=True)


@parsl.python_app  # type: ignore[untyped-decorator]
def nothing(number: int) -> int:
    return number


def measure(jobs: int, outdir: str, folder: str) -> float:
    executor = HighThroughputExecutor(
        label="htex",
        address=socket.gethostname(),  # nodes have a loopback of their own
        max_workers_per_node=len(os.sched_getaffinity(0)),
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    with parsl.load(Config(executors=[executor], run_dir=folder, strategy="none", initialize_logging=False)):
        warm = [nothing(number) for number in range(100)]
        check(sum(future.result() for future in warm) == sum(range(100)))
        started = time.perf_counter()
        futures = [echo(number, outdir) if outdir else nothing(number) for number in range(jobs)]
        for future in futures:
            future.result()
        return time.perf_counter() - started


def check(condition: bool) -> None:
    if not condition:
        raise RuntimeError("it is not what it should be")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "", folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"jobs/s": int(sys.argv[1]) / seconds}
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
