"""The coordinator and the store without workers: `python -m benchmarks.advance DOCUMENT INPUTS`, JSON on stdout."""

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.executor.events import Silent
from cwlbalsam.jobs.model import Changes, RunRecord
from cwlbalsam.parser.cache import load_program
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.local import OBJECTS_PER_COLLECTION
from cwlbalsam.store import open_store

WAKE_UP_OUTCOMES = 64
"""As many as two busy workers report at a time."""


class PromptPool:
    """Every command has ended well as soon as it is submitted; a workflow's boundary passes its inputs on."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        file = {
            "class": "File",
            "path": "/nowhere/out.txt",
            "basename": "out.txt",
            "size": 6,
            "checksum": "sha1$" + "0" * 40,
        }
        self._made = {"out": Raw(msgspec.msgpack.encode(file))}

    def submit(self, tasks: list[Task]) -> None:
        self.tasks.extend(tasks)

    def cancel(self, jobs: list[int], *, unstarted: bool = False) -> None:
        raise NotImplementedError("nothing fails here")

    def outcomes(self) -> list[Outcome]:
        """Of the oldest tasks."""
        count = min(len(self.tasks), WAKE_UP_OUTCOMES)
        return [self._end(self.tasks.popleft()) for _ in range(count)]

    def _end(self, task: Task) -> Outcome:
        outputs = self._made if task.mode == "run" else task.inputs
        return Outcome(job=task.job, attempt=task.attempt, ending="done", outputs=outputs, exit_code=0)


def advance(document: Path, inputs: Path, home: Path | None) -> tuple[int, float]:
    """Jobs, and the seconds that their bookkeeping took. home: of the store; None: changes are dropped."""
    loaded = load_program(str(document), CompileOptions(), None)
    values: dict[str, Any] = json.loads(inputs.read_text())
    pool = PromptPool()
    store = open_store(home) if home is not None else None
    write: Callable[[Changes], None] = (lambda _: None) if store is None else (lambda some: store.apply("run", some))
    coordinator = Coordinator(loaded.program, pool, Path("/nowhere"), write=write, reporter=Silent())
    gc.set_threshold(OBJECTS_PER_COLLECTION, 20, 100)  # as a run does
    started = time.perf_counter()
    changes = coordinator.first_changes({name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()})
    if store is not None:
        record = RunRecord(id="run", name="", document="", program=loaded.program.digest, created=0.0, directory="")
        store.put_program(loaded.program.digest, loaded.encoded)
        store.create_run(record, changes)
    coordinator.start()
    while pool.tasks:
        coordinator.outcomes(pool.outcomes())
    seconds = time.perf_counter() - started
    if store is not None:
        store.close()
    if not coordinator.done.is_set() or coordinator.failures:
        raise RuntimeError(f"the run has not ended well: {coordinator.failures[:1]}")
    return sum(job.plan.kind == "job" for job in coordinator.jobs.values()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--no-store", action="store_true", help="without the store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("CWLBALSAM_HOME")) as folder:
        jobs, seconds = advance(options.document, options.inputs, None if options.no_store else Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"jobs": jobs, "seconds": seconds, "peak_bytes": peak}, sys.stdout)


if __name__ == "__main__":
    main()
