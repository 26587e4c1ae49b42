"""`echo wN > wN.txt` for many N by HyperQueue, in its own environment: with_hyperqueue.py JOBS OUTDIR.

JSON on stdout, with the seconds from the submission to the last end; server and worker are up before.
"""

import json
import os
import resource
import sys
import tempfile
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def measure(jobs: int, outdir: str, folder: str) -> float:
    with LocalCluster(folder, WorkerConfig(cores=len(os.sched_getaffinity(0)))) as cluster:
        client = cluster.client()
        warm = Job()
        warm.program(["true"], stdout=None, stderr=None)
        client.wait_for_jobs([client.submit(warm)])
        started = time.perf_counter()
        job = Job(default_workdir=outdir)
        for number in range(jobs):
            job.program(["echo", f"w{number}"], stdout=f"{outdir}/w{number}.txt", stderr=None)
        client.wait_for_jobs([client.submit(job)])
        return time.perf_counter() - started


def main() -> None:
    told = os.dup(1)
    os.dup2(2, 1)  # the server, which is within this process, writes there, too
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(int(sys.argv[1]), sys.argv[2], folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    os.write(
        told,
        json.dumps(
            {"seconds": seconds, "peak_bytes": peak, "figures": {"jobs/s": int(sys.argv[1]) / seconds}}
        ).encode(),
    )


if __name__ == "__main__":
    main()
