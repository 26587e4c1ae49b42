"""What the coordinator knows of one job, and what it takes over from an earlier part of a resumed run."""

import hashlib
from collections.abc import Mapping

from msgspec import Raw, Struct

from cwlbalsam.cwl.tasks import Grant, Outcome
from cwlbalsam.jobs.model import BalsamJob, JobKind, State
from cwlbalsam.jobs.references import pack_map, pack_trees
from cwlbalsam.parser.expand import Planned

FINGERPRINT_BYTES = 16


class Remembered(Struct, frozen=True):
    """A job of an earlier part of a resumed run. outcome: what it ended with, if it ended well and its files are there.

    finished: the store has it as finished.
    """

    id: int
    attempt: int
    finished: bool
    outcome: Outcome | None


class RetryPolicy(Struct, frozen=True):
    """retries: attempts that a job gets beyond the first. memory_factor: for the RAM of an attempt after one that was
    killed, as jobs are when memory is short. time_factor: for the time limit after an attempt that reached it."""

    retries: int = 0
    memory_factor: float = 1.0
    time_factor: float = 1.0


NO_RETRY = RetryPolicy()


class LiveJob(Struct, weakref=False, gc=False):
    """A job as the coordinator knows it. outputs: once it is done; a port that is missing is null.

    children: who waits for it; None once they have been counted down: who comes later no longer waits.
    losses: workers that it has lost. failures: attempts that ended badly. kept: the store has it as finished already.
    """

    plan: Planned
    state: State = State.AWAITING_PARENTS
    waiting_for: int = 0
    children: list[int] | None = None
    outputs: Mapping[str, Raw] | None = None
    attempt: int = 1
    grant: Grant | None = None
    losses: int = 0
    failures: int = 0
    time_factor: float = 1.0
    kept: bool = False
    fingerprint: bytes = b""

    def end(self, outputs: Mapping[str, Raw]) -> None:
        """Keep what it has made, and no more: a value as it arrives holds on to the whole frame that it came in."""
        self.outputs = {name: raw.copy() for name, raw in outputs.items()}
        self.fingerprint = b""


class Failure(Struct, frozen=True):
    """Why a job failed."""

    job: int
    name: str
    error: str
    log: str
    bug: bool


def stored(job: LiveJob) -> BalsamJob:
    """The job as the store keeps it."""
    plan = job.plan
    return BalsamJob(
        id=plan.id,
        name=plan.name,
        kind=plan.kind,
        process=plan.process,
        step=plan.step,
        inputs=pack_trees(plan.inputs),
        state=job.state,
        attempt=job.attempt if job.attempt > 1 else 0,
        waiting_for=job.waiting_for,
    )


def fingerprint(
    process: str, kind: JobKind, step: str, inputs: Mapping[str, Raw], previous: Mapping[str, Raw]
) -> bytes:
    """Equal for two jobs that would do the same: keys of process and step, and all values that are read."""
    told = hashlib.sha256("\0".join((process, kind, step)).encode())
    told.update(pack_map(inputs))
    if previous:
        told.update(pack_map(previous))
    return told.digest()[:FINGERPRINT_BYTES]
