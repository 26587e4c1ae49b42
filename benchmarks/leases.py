"""Clients that contend for jobs: `python -m benchmarks.leases --engine sqlite`, JSON on stdout.

An agent is a process with its own connection, its clients are threads of it, each with a session. It fails unless each
job is leased exactly once and no client gets less than half of an even share.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.stores import ENGINES, add_run, check, closing_store, empty_home
from cwlbalsam.store.leases import Leases, leases_of

AT_ONCE = 16
"""Jobs that a launcher asks for at a time."""


def _client(leases: Leases, begin: Any, taken: list[tuple[str, int]]) -> None:
    session = leases.open_session("benchmark", "here", 60.0, time.time()).id
    begin.wait()
    while got := leases.lease(session, AT_ONCE):
        check(all(lease.job.attempt == 1 for lease in got), "a job was leased twice")
        taken += [(session, lease.job.id) for lease in got]


def _agent(home: Path, clients: int, begin: Any, told: Any) -> None:
    with closing_store(home) as store:
        taken: list[tuple[str, int]] = []
        here = threading.Barrier(clients + 1)
        threads = [threading.Thread(target=_client, args=(leases_of(store), here, taken)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while here.n_waiting < clients:  # all have a session
            time.sleep(0.001)
        begin.wait()
        here.wait()
        for thread in threads:
            thread.join()
    told.put((time.monotonic(), taken))


def contend(engine: str, jobs: int, agents: int, clients: int) -> tuple[float, list[int]]:
    """Seconds until the last job was leased, and how many each client got."""
    forked = multiprocessing.get_context("fork")
    with empty_home(engine) as home:
        begin, told = forked.Barrier(agents + 1), forked.SimpleQueue()
        arguments = (home, clients // agents, begin, told)
        processes = [forked.Process(target=_agent, args=arguments) for _ in range(agents)]
        with closing_store(home) as store:
            add_run(store, "run", jobs)
            leases_of(store).offer("run", range(jobs))
        for process in processes:
            process.start()
        begin.wait()
        started = time.monotonic()
        answers = [told.get() for _ in processes]
        for process in processes:
            process.join()
    taken = [one for _, some in answers for one in some]
    check(sorted(job for _, job in taken) == list(range(jobs)), "not every job was leased exactly once")
    shares = sorted(Counter(session for session, _ in taken).values())
    check(len(shares) == clients and shares[0] >= jobs / clients / 2, f"a client starves: {shares}")
    return max(ended for ended, _ in answers) - started, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8, help="of all agents together")
    options = parser.parse_args()
    seconds, shares = contend(options.engine, options.jobs, options.agents, options.clients)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"jobs": options.jobs, "seconds": seconds, "peak_bytes": peak, "shares": shares}, sys.stdout)


if __name__ == "__main__":
    main()
