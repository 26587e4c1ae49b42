"""Leases on PostgreSQL: who leases skips the jobs that others are just leasing, so nobody waits."""

import uuid
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from cwlbalsam.jobs.model import State
from cwlbalsam.store.leases import HELD, LEASABLE, Lease, Session, SessionLost
from cwlbalsam.store.postgres_link import Link
from cwlbalsam.store.schema import jobs as all_jobs
from cwlbalsam.store.schema import runs, sessions
from cwlbalsam.store.sqlite_leases import lease_of

# A parameter would hide from the planner that the partial indexes fit.
NOBODY: ColumnElement[str] = literal_column("''")
_HELD = all_jobs.c.state.in_(sorted(map(int, HELD)))
_JOB = [
    all_jobs.c[name]
    for name in ("id", "name", "kind", "process", "step_process", "step_index", "inputs", "state", "attempt")
]


def _chosen(*more: ColumnElement[bool]) -> Select[Any]:
    offered = select(all_jobs.c.run, all_jobs.c.id).where(all_jobs.c.session == NOBODY, all_jobs.c.kind == "job", *more)
    wanted = offered.where(all_jobs.c.state.in_(bindparam("states", expanding=True)))
    return wanted.order_by(all_jobs.c.run, all_jobs.c.id).limit(bindparam("most")).with_for_update(skip_locked=True)


def _take(chosen: Select[Any]) -> Any:
    found = chosen.cte("chosen")
    return (
        update(all_jobs)
        .where(all_jobs.c.run == found.c.run, all_jobs.c.id == found.c.id, runs.c.key == all_jobs.c.run)
        .values(session=bindparam("holder"), attempt=all_jobs.c.attempt + 1)
        .returning(runs.c.id, *_JOB)
    )


def _key_of(run_id: Any) -> ScalarSelect[Any]:
    return select(runs.c.key).where(runs.c.id == run_id).scalar_subquery()


TAKE_ANY = _take(_chosen())
TAKE_OF_RUN = _take(_chosen(all_jobs.c.run == _key_of(bindparam("run_id"))))


class PostgresLeases:
    """`Leases` beside a `PostgresStore`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def offer(self, run_id: str, jobs: Collection[int]) -> int:
        nobodys = all_jobs.c.session.is_(None)
        return self._change(_these(run_id, jobs, nobodys))

    def open_session(self, agent: str, host: str, ttl: float, now: float) -> Session:
        made = Session(id=uuid.uuid4().hex, agent=agent, host=host, created=now, renewed=now, ttl=ttl)
        self._change(insert(sessions).values(msgspec.structs.asdict(made)))
        return made

    def renew(self, session: str, now: float) -> None:
        later = func.greatest(sessions.c.renewed, now)
        renewed = update(sessions).where(sessions.c.id == session, sessions.c.state == "open").values(renewed=later)
        if not self._change(renewed):
            raise SessionLost(session)

    def lease(self, session: str, limit: int, run_id: str = "", states: Collection[State] = LEASABLE) -> list[Lease]:
        values = {"holder": session, "most": limit, "states": sorted(map(int, states))}
        # The lock of the row holds off those who would make it suspect or close it meanwhile.
        mine = select(sessions.c.state).where(sessions.c.id == session).with_for_update(read=True)

        def work(connection: Connection) -> list[Any]:
            if connection.execute(mine).scalar() != "open":
                raise SessionLost(session)
            if run_id:
                return list(connection.execute(TAKE_OF_RUN, {**values, "run_id": run_id}))
            return list(connection.execute(TAKE_ANY, values))

        return sorted(map(lease_of, self._link.write(work)), key=lambda lease: (lease.run, lease.job.id))

    def held(self, session: str) -> list[Lease]:
        found = select(runs.c.id, *_JOB).join(all_jobs, all_jobs.c.run == runs.c.key)
        mine = found.where(all_jobs.c.session > NOBODY, all_jobs.c.session == session, _HELD).order_by(
            all_jobs.c.run, all_jobs.c.id
        )
        return self._link.read(lambda connection: [lease_of(tuple(row)) for row in connection.execute(mine)])

    def release(self, session: str, run_id: str, jobs: Collection[int]) -> int:
        return self._change(_these(run_id, jobs, all_jobs.c.session == session, _HELD))

    def expire(self, now: float) -> list[Session]:
        late = (sessions.c.state == "open") & (sessions.c.renewed + sessions.c.ttl < now)
        changed = update(sessions).where(late).values(state="suspect").returning(*sessions.c)
        found = self._link.write(lambda connection: list(connection.execute(changed)))
        return sorted((Session(**row._mapping) for row in found), key=lambda session: session.id)

    def close_session(self, session: str) -> None:
        closed = update(sessions).where(sessions.c.id == session).values(state="closed")
        mine = update(all_jobs).where(*_held_by(session)).values(session="")

        def work(connection: Connection) -> None:
            connection.execute(closed)  # first: who is just leasing for it is waited for
            connection.execute(mine)

        self._link.write(work)

    def _change(self, statement: Any) -> int:
        """How many rows it changed."""
        return int(self._link.write(lambda connection: connection.execute(statement).rowcount))


def _held_by(session: str) -> tuple[ColumnElement[bool], ...]:
    return all_jobs.c.session > NOBODY, all_jobs.c.session == session, _HELD


def _these(run_id: str, numbers: Collection[int], *conditions: ColumnElement[bool]) -> Any:
    """Offers some jobs of a run."""
    chosen = all_jobs.c.id == func.any(list(numbers))
    return update(all_jobs).where(all_jobs.c.run == _key_of(run_id), chosen, *conditions).values(session="")
