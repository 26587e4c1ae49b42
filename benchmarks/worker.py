"""What one worker itself costs, without its commands: `python -m benchmarks.worker DOCUMENT INPUTS`, JSON on stdout."""

import argparse
import gc
import json
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.execution import prepare
from cwlbalsam.cwl.tasks import Settings, Task
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.executor.events import Silent
from cwlbalsam.executor.frames import FRAME_TASKS, Inbox, Learn, Work, pack, unpack_outcomes
from cwlbalsam.executor.worker import work
from cwlbalsam.parser.cache import Loaded, load_program
from cwlbalsam.parser.options import CompileOptions

AT_ONCE = 2
"""Commands that run side by side."""


class Spent(Struct):
    """Of the worker's own process, from its fork on; what it imports is imported before."""

    user_seconds: float
    system_seconds: float
    peak_bytes: int


NOTHING = Spent(0.0, 0.0, 0)


class OneWorker:
    """A pool that gives all to one worker. The worker tells what it has spent through a pipe, at its end."""

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        self._told, tell = os.pipe()
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            before = _spent()
            work(theirs, Settings(), str(folder / "scratch"), prepare, str(folder / "journal"))
            os.write(tell, msgspec.json.encode(_spent(before)))
            os._exit(0)
        theirs.close()
        os.close(tell)
        self._connection = ours
        self._inbox = Inbox()
        self._unanswered = 0
        self._connection.sendall(pack(Learn(loaded.program.digest, loaded.encoded)))

    def submit(self, tasks: list[Task]) -> None:
        for first in range(0, len(tasks), FRAME_TASKS):
            some = tasks[first : first + FRAME_TASKS]
            self._connection.sendall(pack(Work(some, [(grant, AT_ONCE) for grant in {task.grant for task in some}])))
        self._unanswered += len(tasks)

    def cancel(self, jobs: list[int], *, unstarted: bool = False) -> None:
        raise NotImplementedError("nothing fails here")

    def serve(self, coordinator: Coordinator) -> None:
        """Until every task has been answered."""
        while self._unanswered:
            for body in self._inbox.feed(self._connection.recv(1 << 18)):
                outcomes = unpack_outcomes(body)
                self._unanswered -= len(outcomes)
                coordinator.outcomes(outcomes)

    def close(self) -> Spent:
        self._connection.close()
        with os.fdopen(self._told, "rb") as pipe:
            told = pipe.read()
        os.waitpid(self._pid, 0)
        return msgspec.json.decode(told, type=Spent)


def _spent(before: Spent = NOTHING) -> Spent:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Spent(usage.ru_utime - before.user_seconds, usage.ru_stime - before.system_seconds, usage.ru_maxrss * 1024)


def run(document: Path, inputs: Path, folder: Path) -> tuple[int, Spent]:
    """Jobs, and what the worker has spent on them."""
    loaded = load_program(str(document), CompileOptions(), None)
    values: dict[str, Any] = json.loads(inputs.read_text())
    gc.disable()
    pool = OneWorker(loaded, folder)
    coordinator = Coordinator(loaded.program, pool, folder / "jobs", write=lambda _: None, reporter=Silent())
    coordinator.first_changes({name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()})
    coordinator.start()
    pool.serve(coordinator)
    spent = pool.close()
    if not coordinator.done.is_set() or coordinator.failures:
        raise RuntimeError(f"the run has not ended well: {coordinator.failures[:1]}")
    return sum(job.plan.kind == "job" for job in coordinator.jobs.values()), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("CWLBALSAM_HOME")) as folder:
        jobs, spent = run(options.document, options.inputs, Path(folder))
    told = {"jobs": jobs, "seconds": spent.user_seconds + spent.system_seconds, "peak_bytes": spent.peak_bytes}
    json.dump(told | {"user_seconds": spent.user_seconds, "system_seconds": spent.system_seconds}, sys.stdout)


if __name__ == "__main__":
    main()
