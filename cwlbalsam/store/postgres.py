"""The store on PostgreSQL, for several hosts and for load.

Writers of one run take turns, by the lock of its row, as all writers of a SQLite store do; runs do not wait for each
other, but for the numbers of their events.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec.structs import astuple
from sqlalchemy import Connection, Select, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.links import Figures, LinkName
from cwlbalsam.jobs.model import Changes, JobKind, RunRecord, State
from cwlbalsam.store import postgres_batch as batch
from cwlbalsam.store.base import (
    CLAIMED,
    PROGRAM_KEEP_SECONDS,
    HistoryEntry,
    RunStatus,
    StoredJob,
    claimed_by_other,
    figures_of,
    only_candidate,
    stored_job,
)
from cwlbalsam.store.postgres_batch import plain
from cwlbalsam.store.postgres_link import SCHEMA, Link, server_version
from cwlbalsam.store.schema import edges, events, jobs, links, programs, runs, writers

OLDEST_SERVER = 13_00_00
MIGRATIONS_LOCK = text("SELECT pg_advisory_xact_lock(7165093842164)")

_BRIEF = [
    runs.c[name]
    for name in (
        *("id", "name", "document", "program", "created", "claimed", "directory", "outdir", "pid", "host", "status"),
        *("ended", "message"),
    )
]
_RUN = [*_BRIEF, runs.c.inputs, runs.c.options, runs.c.outputs]
_JOB = [one for one in batch.JOB_COLUMNS if one is not jobs.c.run]
_EVENT = [events.c[name] for name in ("seq", "job", "state", "attempt", "time", "message")]
_LINK = (*Figures.__struct_fields__, "source", "target", "protocol")


def prepare_tables(connection: Connection, schema_version: int) -> None:
    """Makes or upgrades them. Raises UserError if the server cannot serve, or a newer cwlbalsam made them."""
    number, encoding = server_version(connection)
    if number < OLDEST_SERVER or encoding != "UTF8":
        raise UserError(
            f"the database is of PostgreSQL {number // 10_000} and in {encoding}:"
            f" version {OLDEST_SERVER // 10_000} or newer and UTF8 are needed"
        )
    connection.rollback()
    if _version(connection) < schema_version:
        with connection.begin():
            connection.execute(MIGRATIONS_LOCK)
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            from cwlbalsam.store import migrate

            migrate.run_migrations(connection)
    found = _version(connection)
    if found > schema_version:
        raise UserError(
            f"the store was made by a newer cwlbalsam (schema {found}, this one knows {schema_version})",
            hint="upgrade cwlbalsam, or set CWLBALSAM_HOME to another folder",
        )


def _version(connection: Connection) -> int:
    with connection.begin():
        if connection.execute(select(func.to_regclass(f"{SCHEMA}.alembic_version"))).scalar() is None:
            return 0
        return int(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or 0)


class PostgresStore:
    """A `Store` behind a link. current: raises UserError if the home does not use this store any more."""

    def __init__(self, link: Link, current: Callable[[], None] = lambda: None) -> None:
        self.link, self._current = link, current
        self._keys: dict[str, int] = {}

    def close(self) -> None:
        self.link.close()

    # --- programs ---

    def put_program(self, digest: str, body: bytes) -> None:
        given = upsert(programs).values(digest=digest, body=body, used=time.time())
        renewed = given.on_conflict_do_update(index_elements=["digest"], set_={"used": given.excluded.used})
        self.link.write(lambda connection: connection.execute(renewed))

    def get_program(self, digest: str) -> bytes:
        rows = self._rows(select(programs.c.body).where(programs.c.digest == digest))
        if not rows:
            raise LookupError(f"no Program {digest}")
        return bytes(rows[0][0])

    # --- runs ---

    def create_run(self, run: RunRecord, changes: Changes) -> None:
        row = {one.name: getattr(run, one.name) for one in _RUN} | {"message": plain(run.message)}

        def work(connection: Connection) -> None:
            key = connection.execute(insert(runs).values(row).returning(runs.c.key)).scalar_one()
            self._current()
            batch.apply(connection, key, changes)

        self.link.write(work)

    def claim_run(self, run: RunRecord, claim: RunRecord) -> None:
        key = self._key(run.id)
        seen = [runs.c[name] == getattr(run, name) for name in ("status", "pid", "host", "claimed")]
        claimed = {name: getattr(claim, name) for name in CLAIMED}
        taken = (
            update(runs)
            .where(runs.c.key == key, *seen)
            .values(status="running", ended=0.0, message="", tally=None, **claimed)
        )

        def work(connection: Connection) -> None:
            if connection.execute(taken).rowcount != 1:
                raise claimed_by_other(run)
            self._current()

        self.link.write(work)

    def finish_run(
        self, run_id: str, status: RunStatus, *, outputs: bytes | None = None, message: str = "", ended: float
    ) -> None:
        key = self._key(run_id)

        def work(connection: Connection) -> None:
            self._hold(connection, run_id, key)
            tally = json.dumps([list(row) for row in connection.execute(_counts(key))])
            values = {"status": status, "outputs": outputs, "message": plain(message), "ended": ended, "tally": tally}
            connection.execute(update(runs).where(runs.c.key == key).values(values))

        self.link.write(work)

    def runs(self, limit: int = 0, status: Collection[str] = ()) -> list[RunRecord]:
        found = select(*_BRIEF).order_by(runs.c.id.desc()).limit(limit or None)
        if status:
            found = found.where(runs.c.status.in_(sorted(status)))
        return [RunRecord(**row._mapping) for row in self._rows(found)]

    def run(self, prefix: str) -> RunRecord:
        # "~" sorts behind all characters of an id; an id is text, so a prefix is a range of the index.
        wanted = plain(prefix)
        found = select(*_RUN).where(runs.c.id >= wanted, runs.c.id < f"{wanted}~").order_by(runs.c.id)
        return only_candidate(prefix, [RunRecord(**row._mapping) for row in self._rows(found)] if prefix else [])

    def remove_run(self, run_id: str) -> None:
        key = self._key(run_id)

        def work(connection: Connection) -> None:
            connection.execute(select(runs.c.key).where(runs.c.key == key).with_for_update())
            for table in (events, edges, jobs):
                connection.execute(delete(table).where(table.c.run == key))
            connection.execute(delete(runs).where(runs.c.key == key))

        self.link.write(work)
        self._keys.pop(run_id, None)
        try:
            self.link.write(_forget_unused)
        except IntegrityError:
            return  # one is just being used by a new run; the next removed run does it

    # --- the DAG ---

    def apply(self, run_id: str, changes: Changes) -> None:
        key = self._key(run_id)

        def work(connection: Connection) -> None:
            self._hold(connection, run_id, key)
            batch.apply(connection, key, changes)

        self.link.write(work)

    def jobs(self, run_id: str, states: Collection[State] = (), name: str = "") -> list[StoredJob]:
        key = self._key(run_id)
        found = select(*_JOB).where(jobs.c.run == key).order_by(jobs.c.id)
        if states:
            found = found.where(jobs.c.state.in_(sorted(map(int, states))))
        if name:
            found = found.where(jobs.c.name.like(_like(name), escape="\\"))
        rows = self._rows(found)
        waiting = self._waiting(key) if rows else {}
        return [stored_job(row, waiting) for row in rows]

    def job(self, run_id: str, job: int | str) -> StoredJob:
        key = self._key(run_id)
        known = jobs.c.id == job if isinstance(job, int) else jobs.c.name == plain(job)
        rows = self._rows(select(*_JOB).where(jobs.c.run == key, known))
        if not rows:
            raise LookupError(f"no job {job!r} in run {run_id}")
        return stored_job(rows[0], self._waiting(key))

    def edges(self, run_id: str) -> list[tuple[int, int]]:
        found = select(edges.c.parent, edges.c.child).where(edges.c.run == self._key(run_id))
        return [(parent, child) for parent, child in self._rows(found.order_by(edges.c.parent, edges.c.child))]

    def events(self, run_id: str, since: int = 0) -> list[HistoryEntry]:
        found = select(*_EVENT).where(events.c.run == self._key(run_id), events.c.seq > since).order_by(events.c.seq)
        return [
            HistoryEntry(seq=seq, job=job, state=State(state), attempt=attempt, time=when, message=message)
            for seq, job, state, attempt, when, message in self._rows(found)
        ]

    def counts(self, run_id: str, kind: JobKind | None = None) -> dict[State, int]:
        key = self._key(run_id)
        tally = self._rows(select(runs.c.tally).where(runs.c.key == key))[0][0]
        counted: Counter[State] = Counter()
        for of_kind, state, count in json.loads(tally) if tally else self._rows(_counts(key)):
            if kind is None or kind == of_kind:
                counted[State(state)] += count
        return dict(counted)

    # --- links ---

    def links(self) -> dict[LinkName, Figures]:
        return figures_of(self._rows(select(*(links.c[name] for name in _LINK))))

    def put_links(self, figures: Mapping[LinkName, Figures]) -> None:
        rows = [dict(zip(_LINK, (*astuple(known), *link), strict=True)) for link, known in figures.items()]
        given = upsert(links)
        learned = {name: given.excluded[name] for name in Figures.__struct_fields__}
        put = given.on_conflict_do_update(index_elements=["source", "target", "protocol"], set_=learned)
        if rows:
            self.link.write(lambda connection: connection.execute(put, rows))

    # --- inside ---

    def _rows(self, statement: Select[Any]) -> list[Any]:
        return self.link.read(lambda connection: list(connection.execute(statement).all()))

    def _waiting(self, key: int) -> dict[int, int]:
        parents = (jobs.c.run == edges.c.run) & (jobs.c.id == edges.c.parent)
        counted = select(edges.c.child, func.count()).join(jobs, parents).where(edges.c.run == key)
        unfinished = counted.where(jobs.c.state != int(State.JOB_FINISHED)).group_by(edges.c.child)
        return dict(self._rows(unfinished))

    def _hold(self, connection: Connection, run_id: str, key: int) -> None:
        """Makes other writers of the run wait for this transaction's end."""
        if (
            connection.execute(select(runs.c.key).where(runs.c.key == key).with_for_update(key_share=True)).scalar()
            is None
        ):
            raise _no_run(run_id)

    def _key(self, run_id: str) -> int:
        if run_id not in self._keys:
            rows = self._rows(select(runs.c.key).where(runs.c.id == plain(run_id)))
            if not rows:
                raise _no_run(run_id)
            self._keys[run_id] = rows[0][0]
        return self._keys[run_id]


def _no_run(run_id: str) -> UserError:
    return UserError(f"no run '{run_id}'", hint="`cwlbalsam ls` lists the runs")


def _forget_unused(connection: Connection) -> None:
    long_ago = time.time() - PROGRAM_KEEP_SECONDS
    connection.execute(
        delete(programs).where(programs.c.used < long_ago, programs.c.digest.not_in(select(runs.c.program)))
    )
    connection.execute(delete(writers).where(writers.c.used < long_ago))


def _counts(key: int) -> Select[Any]:
    return select(jobs.c.kind, jobs.c.state, func.count()).where(jobs.c.run == key).group_by(jobs.c.kind, jobs.c.state)


def _like(glob: str) -> str:
    """The glob with `*` and `?` as a pattern of LIKE."""
    escaped = plain(glob).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
