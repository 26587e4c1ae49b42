"""The store on SQLite, by the standard library alone: importing SQLAlchemy would take longer than a small run.

The tables are those of `schema.py`. One connection, one transaction a call; a fork must not use its parent's store.
"""

# ruff: noqa: S608 -- the statements are put together from constants of this module only

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from cwlbalsam.errors import IllegalTransition, UserError
from cwlbalsam.jobs.links import Figures, LinkName
from cwlbalsam.jobs.model import BalsamJob, Changes, JobKind, RunRecord, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.store import host as hosts
from cwlbalsam.store.base import (
    CLAIMED,
    PROGRAM_KEEP_SECONDS,
    HistoryEntry,
    RunStatus,
    StoredJob,
    claimed_by_other,
    figures_of,
    last_moves,
    name_pattern,
    only_candidate,
    stored_job,
)
from cwlbalsam.store.choice import choice_stamp, refuse_if_moved
from cwlbalsam.store.sqlite_link import SqliteLink

SCHEMA_VERSION = 4
"""The newest migration; stated here so that alembic need not be asked at every start."""

_FINAL = ", ".join(str(int(state)) for state in sorted(FINAL))
_BRIEF = "id, name, document, program, created, claimed, directory, outdir, pid, host, status, ended, message"
_RUN = f"{_BRIEF}, inputs, options, outputs"
_JOB = "id, name, kind, process, step_process, step_index, inputs, state, attempt, message, outcome, updated"
_LINK = "latency_seconds, file_seconds, bytes_per_second, samples, learned"

STATEMENTS = {
    "put_program": "INSERT INTO programs (digest, body, used) VALUES (?, ?, ?)"
    " ON CONFLICT (digest) DO UPDATE SET used = excluded.used",
    "get_program": "SELECT body FROM programs WHERE digest = ?",
    "insert_run": f"INSERT INTO runs ({_RUN}) VALUES ({', '.join('?' * 16)})",
    "claim_run": f"UPDATE runs SET {', '.join(f'{name} = ?' for name in CLAIMED)},"
    " status = 'running', ended = 0, message = '', tally = NULL"
    " WHERE key = ? AND status = ? AND pid = ? AND host = ? AND claimed = ?",
    "finish_run": "UPDATE runs SET status = ?, outputs = ?, message = ?, ended = ?, tally = ? WHERE key = ?",
    "run_key": "SELECT key FROM runs WHERE id = ?",
    "run_by_prefix": f"SELECT {_RUN} FROM runs WHERE id >= ? AND id < ? ORDER BY id",
    "runs": f"SELECT {_BRIEF} FROM runs ORDER BY id DESC LIMIT ?",
    "runs_of_status": f"SELECT {_BRIEF} FROM runs WHERE status IN (SELECT value FROM json_each(?))"
    " ORDER BY id DESC LIMIT ?",
    "any_running": "SELECT EXISTS (SELECT 1 FROM runs WHERE status = 'running')",
    "insert_job": f"INSERT INTO jobs (run, {_JOB}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL, 0)",
    "restart_job": "UPDATE jobs SET process = ?, step_process = ?, step_index = ?, inputs = ?, state = ?, attempt = ?,"
    " message = '', outcome = NULL, updated = ? WHERE run = ? AND id = ?",
    "insert_edge": "INSERT OR IGNORE INTO edges (run, parent, child) VALUES (?, ?, ?)",
    "move_job": "UPDATE jobs SET state = ?, attempt = ?, message = ?, outcome = coalesce(?, outcome), updated = ?"
    f" WHERE run = ? AND id = ? AND state NOT IN ({_FINAL})",
    "insert_event": "INSERT INTO events (run, job, state, attempt, time, message) VALUES (?, ?, ?, ?, ?, ?)",
    "jobs": f"SELECT {_JOB} FROM jobs WHERE run = ? ORDER BY id",
    "jobs_filtered": f"SELECT {_JOB} FROM jobs WHERE run = ? AND name GLOB ?"
    " AND state IN (SELECT value FROM json_each(?)) ORDER BY id",
    "job_by_id": f"SELECT {_JOB} FROM jobs WHERE run = ? AND id = ?",
    "job_by_name": f"SELECT {_JOB} FROM jobs WHERE run = ? AND name = ?",
    "waiting": "SELECT child, count(*) FROM edges JOIN jobs ON jobs.run = edges.run AND jobs.id = edges.parent"
    f" WHERE edges.run = ? AND jobs.state <> {int(State.JOB_FINISHED)} GROUP BY child",
    "edges": "SELECT parent, child FROM edges WHERE run = ? ORDER BY parent, child",
    "events": "SELECT seq, job, state, attempt, time, message FROM events WHERE run = ? AND seq > ? ORDER BY seq",
    "counts": "SELECT kind, state, count(*) FROM jobs WHERE run = ? GROUP BY kind, state",
    "tally": "SELECT tally FROM runs WHERE key = ?",
    "remove_events": "DELETE FROM events WHERE run = ?",
    "remove_edges": "DELETE FROM edges WHERE run = ?",
    "remove_jobs": "DELETE FROM jobs WHERE run = ?",
    "remove_run": "DELETE FROM runs WHERE key = ?",
    "remove_programs": "DELETE FROM programs WHERE used < ? AND digest NOT IN (SELECT program FROM runs)",
    "links": f"SELECT {_LINK}, source, target, protocol FROM links",
    "put_link": f"INSERT OR REPLACE INTO links ({_LINK}, source, target, protocol) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}


class SqliteStore:
    """A `Store` in one file. holder: the file that names the host with active runs."""

    def __init__(self, path: Path, holder: Path, host: hosts.Host) -> None:
        self.link, self._holder, self._host = SqliteLink(path), holder, host
        self._stamp = choice_stamp(holder.parent)
        self._keys: dict[str, int] = {}

    def close(self) -> None:
        self.link.close()

    # --- programs ---

    def put_program(self, digest: str, body: bytes) -> None:
        with self.link.transaction():
            self._do("put_program", digest, body, time.time())

    def get_program(self, digest: str) -> bytes:
        rows = self._rows("get_program", digest)
        if not rows:
            raise LookupError(f"no Program {digest}")
        return bytes(rows[0][0])

    # --- runs ---

    def create_run(self, run: RunRecord, changes: Changes) -> None:
        with self._active_run():
            brief = (run.id, run.name, run.document, run.program, run.created, run.claimed, run.directory, run.outdir)
            state = (run.pid, run.host, run.status, run.ended, run.message, run.inputs, run.options, run.outputs)
            key = self._do("insert_run", *brief, *state).lastrowid
            self._apply(key or 0, changes)

    def claim_run(self, run: RunRecord, claim: RunRecord) -> None:
        with self._active_run():
            seen = (self._key(run.id), run.status, run.pid, run.host, run.claimed)
            if self._do("claim_run", *(getattr(claim, name) for name in CLAIMED), *seen).rowcount != 1:
                raise claimed_by_other(run)

    def finish_run(
        self, run_id: str, status: RunStatus, *, outputs: bytes | None = None, message: str = "", ended: float
    ) -> None:
        key = self._key(run_id)
        with hosts.locked(self._holder.with_suffix(".lock")):
            with self.link.transaction():
                tally = json.dumps(self._rows("counts", key))
                self._do("finish_run", status, outputs, message, ended, tally, key)
            self._release_host()

    def runs(self, limit: int = 0, status: Collection[str] = ()) -> list[RunRecord]:
        most = limit or -1
        rows = self._rows("runs_of_status", json.dumps(sorted(status)), most) if status else self._rows("runs", most)
        return [_run_of(row) for row in rows]

    def run(self, prefix: str) -> RunRecord:
        # "~" sorts behind all characters of an id; an id is text, so a prefix is a range of the index.
        found = self._rows("run_by_prefix", prefix, f"{prefix}~") if prefix else []
        return only_candidate(prefix, [_run_of(row) for row in found])

    def remove_run(self, run_id: str) -> None:
        key = self._key(run_id)
        with hosts.locked(self._holder.with_suffix(".lock")):
            with self.link.transaction():
                for table in ("events", "edges", "jobs", "run"):
                    self._do(f"remove_{table}", key)
                self._do("remove_programs", time.time() - PROGRAM_KEEP_SECONDS)
            self._release_host()
        del self._keys[run_id]

    # --- the DAG ---

    def apply(self, run_id: str, changes: Changes) -> None:
        key = self._key(run_id)
        with self.link.transaction():
            self._apply(key, changes)

    def jobs(self, run_id: str, states: Collection[State] = (), name: str = "") -> list[StoredJob]:
        key = self._key(run_id)
        if not states and not name:
            rows = self._rows("jobs", key)
        else:
            numbers = json.dumps(sorted(map(int, states or State)))
            rows = self._rows("jobs_filtered", key, name_pattern(name or "*"), numbers)
        waiting = dict(self._rows("waiting", key)) if rows else {}
        return [stored_job(row, waiting) for row in rows]

    def job(self, run_id: str, job: int | str) -> StoredJob:
        key = self._key(run_id)
        rows = self._rows("job_by_id" if isinstance(job, int) else "job_by_name", key, job)
        if not rows:
            raise LookupError(f"no job {job!r} in run {run_id}")
        return stored_job(rows[0], dict(self._rows("waiting", key)))

    def edges(self, run_id: str) -> list[tuple[int, int]]:
        return self._rows("edges", self._key(run_id))

    def events(self, run_id: str, since: int = 0) -> list[HistoryEntry]:
        return [
            HistoryEntry(seq=seq, job=job, state=State(state), attempt=attempt, time=when, message=message)
            for seq, job, state, attempt, when, message in self._rows("events", self._key(run_id), since)
        ]

    def counts(self, run_id: str, kind: JobKind | None = None) -> dict[State, int]:
        key = self._key(run_id)
        tally = self._rows("tally", key)[0][0]
        counted: Counter[State] = Counter()
        for of_kind, state, count in json.loads(tally) if tally else self._rows("counts", key):
            if kind is None or kind == of_kind:
                counted[State(state)] += count
        return dict(counted)

    # --- links ---

    def links(self) -> dict[LinkName, Figures]:
        return figures_of(self._rows("links"))

    def put_links(self, figures: Mapping[LinkName, Figures]) -> None:
        with self.link.transaction():
            for link, known in figures.items():
                self._do("put_link", *astuple(known), *link)

    # --- inside a transaction ---

    def _apply(self, key: int, changes: Changes) -> None:
        many = self.link.connection.executemany
        if changes.jobs:
            many(STATEMENTS["insert_job"], (_row_of(key, job) for job in changes.jobs))
        if changes.edges:
            many(STATEMENTS["insert_edge"], ((key, parent, child) for parent, child in changes.edges))
        if changes.restarts:
            now = time.time()
            many(STATEMENTS["restart_job"], [(*_row_of(key, job)[4:], now, key, job.id) for job in changes.restarts])
            events = [(key, job.id, job.state.value, job.attempt, now, "taken up again") for job in changes.restarts]
            many(STATEMENTS["insert_event"], events)
        if not changes.moves:
            return
        rows = [
            (last.move.state.value, last.move.attempt, last.move.message, last.outcome, last.move.time, key, job)
            for job, last in last_moves(changes.moves).items()
        ]
        if many(STATEMENTS["move_job"], rows).rowcount != len(rows):
            self._refuse(key, changes)
        many(
            STATEMENTS["insert_event"],
            ((key, move.job, move.state.value, move.attempt, move.time, move.message) for move in changes.moves),
        )

    def _refuse(self, key: int, changes: Changes) -> None:
        """Says why a move did not find its job; the transaction is undone, so the states are read as they were."""
        self.link.connection.execute("ROLLBACK")
        states = {row[0]: State(row[7]) for row in self._rows("jobs", key)}
        created = {job.id: job.state for job in changes.jobs}
        for move in changes.moves:
            state = states.get(move.job, created.get(move.job))
            if state is None or state in FINAL:
                now = "not in the run" if state is None else state.name
                raise IllegalTransition(f"job {move.job} is {now}, asked to move to {move.state.name}")
        raise IllegalTransition("a job reached a final state while it was moved")

    @contextmanager
    def _active_run(self) -> Iterator[None]:
        """A transaction after which a run is active on this host."""
        with hosts.locked(self._holder.with_suffix(".lock")):
            hosts.refuse_second_host(self._holder, self._host)
            hosts.mark_holder(self._holder, self._host)
            with self.link.transaction():
                refuse_if_moved(self._holder.parent, self._stamp)  # whoever moves a store holds its lock meanwhile
                yield

    def _release_host(self) -> None:
        if not self._rows("any_running")[0][0]:
            self._holder.unlink(missing_ok=True)

    def _do(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self.link.connection.execute(STATEMENTS[statement], values)

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        return self.link.rows(STATEMENTS[statement], *values)

    def _key(self, run_id: str) -> int:
        if run_id not in self._keys:
            rows = self._rows("run_key", run_id)
            if not rows:
                raise UserError(f"no run '{run_id}'", hint="`cwlbalsam ls` lists the runs")
            self._keys[run_id] = rows[0][0]
        return self._keys[run_id]


def _run_of(row: Sequence[Any]) -> RunRecord:
    names = _RUN.split(", ")
    return RunRecord(**dict(zip(names, row, strict=False)))


def _row_of(key: int, job: BalsamJob) -> tuple[Any, ...]:
    process, index = job.step or (None, None)
    return (key, job.id, job.name, job.kind, job.process, process, index, job.inputs, job.state.value, job.attempt)
