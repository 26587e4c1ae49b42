"""The store in memory, for tests and for runs that are to leave no trace."""

import fnmatch
import time
from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from cwlbalsam.errors import IllegalTransition, UserError
from cwlbalsam.jobs.links import Figures, LinkName
from cwlbalsam.jobs.model import BalsamJob, Changes, JobKind, Move, RunRecord, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.store.base import (
    CLAIMED,
    PROGRAM_KEEP_SECONDS,
    HistoryEntry,
    RunStatus,
    StoredJob,
    claimed_by_other,
    last_moves,
    name_pattern,
    only_candidate,
)


class Books(msgspec.Struct):
    """All about one run."""

    record: RunRecord
    jobs: dict[int, StoredJob] = {}
    edges: set[tuple[int, int]] = set()


class MemoryStore:
    """A `Store` that ends with its process."""

    def __init__(self) -> None:
        self._programs: dict[str, tuple[bytes, float]] = {}
        self._books: dict[str, Books] = {}
        self._history: list[tuple[str, HistoryEntry]] = []
        self._seq = 0
        self._links: dict[LinkName, Figures] = {}

    def close(self) -> None:
        """Nothing is open."""

    # --- programs ---

    def put_program(self, digest: str, body: bytes) -> None:
        self._programs[digest] = (self._programs.get(digest, (body,))[0], time.time())

    def get_program(self, digest: str) -> bytes:
        if digest not in self._programs:
            raise LookupError(f"no Program {digest}")
        return self._programs[digest][0]

    # --- runs ---

    def create_run(self, run: RunRecord, changes: Changes) -> None:
        self.get_program(run.program)
        if run.id in self._books:
            raise ValueError(f"run {run.id} exists")
        self._books[run.id] = Books(_copy(run))
        try:
            self.apply(run.id, changes)
        except BaseException:
            del self._books[run.id]
            raise

    def claim_run(self, run: RunRecord, claim: RunRecord) -> None:
        record = self._run(run.id).record
        if (record.status, record.pid, record.host, record.claimed) != (run.status, run.pid, run.host, run.claimed):
            raise claimed_by_other(run)
        record.status, record.ended, record.message = "running", 0.0, ""
        for name in CLAIMED:
            setattr(record, name, getattr(claim, name))

    def finish_run(
        self, run_id: str, status: RunStatus, *, outputs: bytes | None = None, message: str = "", ended: float
    ) -> None:
        record = self._run(run_id).record
        record.status, record.outputs, record.message, record.ended = status, outputs, message, ended

    def runs(self, limit: int = 0, status: Collection[str] = ()) -> list[RunRecord]:
        records = [books.record for books in self._books.values() if not status or books.record.status in status]
        records.sort(key=lambda record: record.id, reverse=True)
        return [
            msgspec.structs.replace(record, inputs=b"", options=b"", outputs=None)
            for record in records[: limit or None]
        ]

    def run(self, prefix: str) -> RunRecord:
        found = [_copy(self._books[run_id].record) for run_id in sorted(self._books) if run_id.startswith(prefix)]
        return only_candidate(prefix, found if prefix else [])

    def remove_run(self, run_id: str) -> None:
        self._run(run_id)
        del self._books[run_id]
        self._history = [(run, entry) for run, entry in self._history if run != run_id]
        kept = {books.record.program for books in self._books.values()}
        long_ago = time.time() - PROGRAM_KEEP_SECONDS
        self._programs = {
            digest: (body, used)
            for digest, (body, used) in self._programs.items()
            if digest in kept or used >= long_ago
        }

    # --- the DAG ---

    def apply(self, run_id: str, changes: Changes) -> None:
        books = self._run(run_id)
        fields = BalsamJob.__struct_fields__
        added = {job.id: StoredJob(**{name: getattr(job, name) for name in fields}) for job in changes.jobs}
        if added.keys() & books.jobs.keys():
            raise ValueError("a job exists")
        taken_up = {job.id: StoredJob(**{name: getattr(job, name) for name in fields}) for job in changes.restarts}
        jobs = books.jobs | added | taken_up
        for move in changes.moves:
            if move.job not in jobs or jobs[move.job].state in FINAL:
                now = jobs[move.job].state.name if move.job in jobs else "not in the run"
                raise IllegalTransition(f"job {move.job} is {now}, asked to move to {move.state.name}")
        last = last_moves(changes.moves)
        books.jobs, books.edges = jobs, books.edges | set(changes.edges)
        for number, (move, outcome) in ((job, (entry.move, entry.outcome)) for job, entry in last.items()):
            job = jobs[number]
            job.state, job.attempt, job.message, job.updated = move.state, move.attempt, move.message, move.time
            job.outcome = outcome or job.outcome
        taken_up_at = time.time()
        again = [
            Move(job=job.id, state=job.state, time=taken_up_at, attempt=job.attempt, message="taken up again")
            for job in changes.restarts
        ]
        for move in (*again, *changes.moves):
            self._seq += 1
            entry = HistoryEntry(
                seq=self._seq,
                job=move.job,
                state=move.state,
                attempt=move.attempt,
                time=move.time,
                message=move.message,
            )
            self._history.append((run_id, entry))

    def jobs(self, run_id: str, states: Collection[State] = (), name: str = "") -> list[StoredJob]:
        books = self._run(run_id)
        unfinished = {job.id for job in books.jobs.values() if job.state != State.JOB_FINISHED}
        waiting = Counter(child for parent, child in books.edges if parent in unfinished)
        return [
            msgspec.structs.replace(job, waiting_for=waiting[number])
            for number, job in sorted(books.jobs.items())
            if (not states or job.state in states) and (not name or fnmatch.fnmatchcase(job.name, name_pattern(name)))
        ]

    def job(self, run_id: str, job: int | str) -> StoredJob:
        for stored in self.jobs(run_id):
            if job in (stored.id, stored.name):
                return stored
        raise LookupError(f"no job {job!r} in run {run_id}")

    def edges(self, run_id: str) -> list[tuple[int, int]]:
        return sorted(self._run(run_id).edges)

    def events(self, run_id: str, since: int = 0) -> list[HistoryEntry]:
        self._run(run_id)
        return [entry for run, entry in self._history if run == run_id and entry.seq > since]

    def counts(self, run_id: str, kind: JobKind | None = None) -> dict[State, int]:
        jobs = self._run(run_id).jobs.values()
        return dict(Counter(job.state for job in jobs if kind in (None, job.kind)))

    # --- links ---

    def links(self) -> dict[LinkName, Figures]:
        return dict(self._links)

    def put_links(self, figures: Mapping[LinkName, Figures]) -> None:
        self._links |= figures

    def _run(self, run_id: str) -> Books:
        if run_id not in self._books:
            raise UserError(f"no run '{run_id}'", hint="`cwlbalsam ls` lists the runs")
        return self._books[run_id]


def _copy(record: RunRecord) -> RunRecord:
    return msgspec.structs.replace(record)
