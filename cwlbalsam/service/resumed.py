"""What a run that is taken up again knows of its earlier part."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.cwl.values import files_and_directories, path_of
from cwlbalsam.executor.journal import read_journals
from cwlbalsam.executor.live import Remembered
from cwlbalsam.jobs.model import JobKind, RunRecord, State
from cwlbalsam.jobs.names import job_directory
from cwlbalsam.sites.site import LOCAL
from cwlbalsam.store import Store, StoredJob


class Resumed(Struct, kw_only=True):
    """The earlier part of a run that is taken up again. added: its jobs that are no steps of the document."""

    record: RunRecord
    memory: dict[tuple[str, JobKind], Remembered]
    added: list[StoredJob] = []
    edges: list[tuple[int, int]] = []

    def sites_of_ended(self) -> dict[str, str]:
        """Where each job was that has ended, by its name."""
        outcomes = ((name, known.outcome) for (name, kind), known in self.memory.items() if kind == "job")
        return {name: outcome.site or LOCAL for name, outcome in outcomes if outcome is not None}


def remember(
    store: Store, record: RunRecord, elsewhere: Sequence[Outcome] = ()
) -> dict[tuple[str, JobKind], Remembered]:
    """What the jobs of a run have ended with: as the store has it, and as workers journalled it before the end.

    elsewhere: what those of sites on other machines have journalled.
    """
    journalled: dict[int, Outcome] = {}  # by job: of its last attempt
    for outcome in (*read_journals(Path(record.directory) / "journals"), *elsewhere):
        if outcome.fingerprint and outcome.attempt >= attempt_of(journalled.get(outcome.job)):
            journalled[outcome.job] = outcome
    changed = _last_change(msgspec.msgpack.decode(record.inputs))
    memory = {}
    for job in store.jobs(record.id):
        finished = job.state is State.JOB_FINISHED
        known = journalled.get(job.id)
        if finished and job.outcome is not None:
            known = msgspec.msgpack.decode(job.outcome, type=Outcome)
        # The journals may know of attempts that the store had not heard of, and directories of commands that never
        # came to report.
        attempt = max(job.attempt, attempt_of(known))
        while Path(job_directory(f"{record.directory}/jobs", job.id, attempt + 1)).exists():
            attempt += 1
        if known is not None and (known.attempt != attempt or known.started < changed or not _is_usable(known)):
            known = None
        memory[job.name, job.kind] = Remembered(job.id, attempt, finished, known)
    return memory


def attempt_of(outcome: Outcome | None) -> int:
    """0 if there is none."""
    return outcome.attempt if outcome is not None else 0


def _last_change(values: Any) -> float:
    """When a file that the user gave was last written: what began before may have read what it was before.

    Times that are still to come say nothing.
    """
    files = [path for value in files_and_directories(values) if (path := _local_path(value)) is not None]
    times = [path.stat().st_mtime if path.exists() else math.inf for path in files]
    now = time.time()
    return max((moment for moment in times if moment <= now or moment == math.inf), default=0.0)


def _local_path(value: Any) -> Path | None:
    return Path(path_of(value)) if str(value.get("location", "")).startswith("file:") else None


def _is_usable(outcome: Outcome) -> bool:
    """Whether a job ended well and every file that it made is there with the size that it had."""
    if outcome.ending not in ("done", "skipped"):
        return False
    for raw in outcome.outputs.values():
        for value in files_and_directories(msgspec.msgpack.decode(raw)):
            path = _local_path(value)
            if path is None:
                continue
            try:
                size = path.stat().st_size
            except OSError:
                return False
            if value["class"] == "File" and value.get("size", size) != size:
                return False
    return True
