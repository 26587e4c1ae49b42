"""Leases on SQLite: whoever leases holds the only lock for writing."""

# ruff: noqa: S608 -- the statements are put together from constants of this module only

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from cwlbalsam.jobs.model import BalsamJob, State
from cwlbalsam.store.leases import HELD, LEASABLE, Lease, Session, SessionLost
from cwlbalsam.store.sqlite_link import SqliteLink

_JOB = "jobs.run, runs.id, jobs.id, jobs.name, kind, process, step_process, step_index, jobs.inputs, state, attempt"
_SESSION = "id, agent, host, created, renewed, ttl, state"
_HELD = ", ".join(str(int(state)) for state in sorted(HELD))
# Without its name the primary key would be taken, and with it all jobs of a run be read.
_OFFERED = "jobs INDEXED BY ix_jobs_offered JOIN runs ON runs.key = jobs.run WHERE jobs.session = ''"

STATEMENTS = {
    "offer": "UPDATE jobs SET session = '' WHERE run = (SELECT key FROM runs WHERE id = ?) AND session IS NULL"
    " AND id IN (SELECT value FROM json_each(?))",
    "open_session": f"INSERT INTO sessions ({_SESSION}) VALUES (?, ?, ?, ?, ?, ?, ?)",
    "renew": "UPDATE sessions SET renewed = max(renewed, ?) WHERE id = ? AND state = 'open'",
    "is_open": "SELECT 1 FROM sessions WHERE id = ? AND state = 'open'",
    "offered": f"SELECT {_JOB} FROM {_OFFERED} AND kind = 'job' AND state IN (SELECT value FROM json_each(?))"
    " ORDER BY jobs.run, jobs.id LIMIT ?",
    "offered_of_run": f"SELECT {_JOB} FROM {_OFFERED} AND kind = 'job' AND state IN (SELECT value FROM json_each(?))"
    " AND jobs.run = (SELECT key FROM runs WHERE id = ?) ORDER BY jobs.run, jobs.id LIMIT ?",
    "take": "UPDATE jobs SET session = ?, attempt = attempt + 1 WHERE run = ? AND id = ?",
    "held": f"SELECT {_JOB} FROM jobs JOIN runs ON runs.key = jobs.run WHERE session > '' AND session = ?"
    f" AND state IN ({_HELD}) ORDER BY jobs.run, jobs.id",
    "release": "UPDATE jobs SET session = '' WHERE run = (SELECT key FROM runs WHERE id = ?) AND session = ?"
    f" AND state IN ({_HELD}) AND id IN (SELECT value FROM json_each(?))",
    "release_all": f"UPDATE jobs SET session = '' WHERE session > '' AND session = ? AND state IN ({_HELD})",
    "late": f"SELECT {_SESSION} FROM sessions WHERE state = 'open' AND renewed + ttl < ? ORDER BY id",
    "suspect": "UPDATE sessions SET state = 'suspect' WHERE state = 'open' AND renewed + ttl < ?",
    "close_session": "UPDATE sessions SET state = 'closed' WHERE id = ?",
}


class SqliteLeases:
    """`Leases` beside a `SqliteStore`."""

    def __init__(self, link: SqliteLink) -> None:
        self._link = link

    def offer(self, run_id: str, jobs: Collection[int]) -> int:
        with self._link.transaction():
            return self._do("offer", run_id, json.dumps(list(jobs)))

    def open_session(self, agent: str, host: str, ttl: float, now: float) -> Session:
        made = Session(id=uuid.uuid4().hex, agent=agent, host=host, created=now, renewed=now, ttl=ttl)
        with self._link.transaction():
            self._do("open_session", *msgspec.structs.astuple(made))
        return made

    def renew(self, session: str, now: float) -> None:
        with self._link.transaction():
            if not self._do("renew", now, session):
                raise SessionLost(session)

    def lease(self, session: str, limit: int, run_id: str = "", states: Collection[State] = LEASABLE) -> list[Lease]:
        wanted = json.dumps(sorted(map(int, states)))
        with self._link.transaction():
            if not self._link.rows(STATEMENTS["is_open"], session):
                raise SessionLost(session)
            if run_id:
                rows = self._link.rows(STATEMENTS["offered_of_run"], wanted, run_id, limit)
            else:
                rows = self._link.rows(STATEMENTS["offered"], wanted, limit)
            taken = [(session, row[0], row[2]) for row in rows]
            self._link.connection.executemany(STATEMENTS["take"], taken)
        return [lease_of((*row[1:-1], row[-1] + 1)) for row in rows]

    def held(self, session: str) -> list[Lease]:
        return [lease_of(row[1:]) for row in self._link.rows(STATEMENTS["held"], session)]

    def release(self, session: str, run_id: str, jobs: Collection[int]) -> int:
        with self._link.transaction():
            return self._do("release", run_id, session, json.dumps(list(jobs)))

    def expire(self, now: float) -> list[Session]:
        with self._link.transaction():
            late = self._link.rows(STATEMENTS["late"], now)
            self._do("suspect", now)
        names = _SESSION.split(", ")
        return [Session(**{**dict(zip(names, row, strict=True)), "state": "suspect"}) for row in late]

    def close_session(self, session: str) -> None:
        with self._link.transaction():
            self._do("release_all", session)
            self._do("close_session", session)

    def _do(self, statement: str, *values: Any) -> int:
        """How many rows it changed."""
        return self._link.connection.execute(STATEMENTS[statement], values).rowcount


def lease_of(row: Sequence[Any]) -> Lease:
    """row: the run's id and the columns of the job."""
    run, number, name, kind, process, step_process, step_index, inputs, state, attempt = row
    job = BalsamJob(
        id=number,
        name=name,
        kind=kind,
        process=process,
        step=None if step_process is None else (step_process, step_index),
        inputs=inputs,
        state=State(state),
        attempt=attempt,
    )
    return Lease(run, job)
