"""The statements of one `apply` on PostgreSQL: a few for a batch, however many jobs are in it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Integer, Table, bindparam, column, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.sql.selectable import TableValuedAlias

from cwlbalsam.errors import IllegalTransition
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.store.base import LastMove, last_moves
from cwlbalsam.store.schema import edges, events, jobs

EVENTS_LOCK = text("SELECT pg_advisory_xact_lock(7165093842163)")
"""Held until the transaction ends. A number that is drawn later is committed later, so a reader's cursor, which has
seen a number, has missed none below it."""

JOB_COLUMNS = [
    jobs.c[name]
    for name in (
        *("run", "id", "name", "kind", "process", "step_process", "step_index", "inputs", "state", "attempt"),
        *("message", "outcome", "updated"),
    )
]
EVENT_COLUMNS = [events.c[name] for name in ("run", "job", "state", "attempt", "time", "message")]


def _batch(name: str, table: Table, columns: Sequence[str]) -> TableValuedAlias:
    """A table of one array a column, given as parameters of these names."""
    arrays = [bindparam(f"_{one}", type_=ARRAY(table.c[one].type)) for one in columns]
    typed = [column(one, table.c[one].type) for one in columns]
    return func.unnest(*arrays).table_valued(*typed, name=name).render_derived()


_edges = _batch("added", edges, ["parent", "child"])
_run = bindparam("_run", type_=Integer)
ADD_EDGES = (
    insert(edges)
    .from_select(["run", "parent", "child"], select(_run, _edges.c.parent, _edges.c.child))
    .on_conflict_do_nothing()
)

MOVED = ["id", "state", "attempt", "message", "outcome", "updated"]
_moved = _batch("moved", jobs, MOVED)
MOVE_JOBS = (
    update(jobs)
    .values({name: _moved.c[name] for name in MOVED if name not in ("id", "outcome")})
    .values(outcome=func.coalesce(_moved.c.outcome, jobs.c.outcome))
    .where(jobs.c.run == _run, jobs.c.id == _moved.c.id, jobs.c.state.not_in(sorted(map(int, FINAL))))
)

RESTARTED = ["id", "process", "step_process", "step_index", "inputs", "state", "attempt"]
_restarted = _batch("restarted", jobs, RESTARTED)
RESTART_JOBS = (
    update(jobs)
    .values({name: _restarted.c[name] for name in RESTARTED if name != "id"})
    .values(message="", outcome=None, updated=bindparam("_now"))
    .where(jobs.c.run == _run, jobs.c.id == _restarted.c.id)
)


def apply(connection: Connection, key: int, changes: Changes) -> None:
    """In the transaction of `connection`, which holds the run's row. Raises IllegalTransition."""
    if changes.jobs:
        copy_rows(connection, jobs, [one.name for one in JOB_COLUMNS], (_row_of(key, job) for job in changes.jobs))
    if changes.edges:
        parents, children = zip(*changes.edges, strict=True)
        connection.execute(ADD_EDGES, {"_run": key, "_parent": list(parents), "_child": list(children)})
    history: list[tuple[Any, ...]] = []
    if changes.restarts:
        now = time.time()
        rows = [(job.id, *_row_of(key, job)[4:10]) for job in changes.restarts]
        connection.execute(RESTART_JOBS, {"_run": key, "_now": now, **_arrays(RESTARTED, rows)})
        history += [(key, job.id, int(job.state), job.attempt, now, "taken up again") for job in changes.restarts]
    if changes.moves:
        last = last_moves(changes.moves)
        rows = [_moved_row(number, end) for number, end in last.items()]
        if connection.execute(MOVE_JOBS, {"_run": key, **_arrays(MOVED, rows)}).rowcount != len(rows):
            _refuse(connection, key, changes, last)
        history += [_event_row(key, move) for move in changes.moves]
    if history:
        connection.execute(EVENTS_LOCK)
        copy_rows(connection, events, [one.name for one in EVENT_COLUMNS], history)


def copy_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Adds rows by COPY. Strings in them must be `plain`."""
    cursor: Any = connection.connection.cursor()
    names = ", ".join(f'"{name}"' for name in columns)
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)
    cursor.close()


def plain(value: str) -> str:
    """What PostgreSQL can keep of a text: it knows no NUL, which a command may well have printed."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value


def _arrays(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    return {f"_{name}": list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _row_of(key: int, job: BalsamJob) -> tuple[Any, ...]:
    process, index = job.step or (None, None)
    name, state = plain(job.name), int(job.state)
    return key, job.id, name, job.kind, job.process, process, index, job.inputs, state, job.attempt, "", None, 0.0


def _moved_row(number: int, last: LastMove) -> tuple[Any, ...]:
    move = last.move
    return number, int(move.state), move.attempt, plain(move.message), last.outcome, move.time


def _event_row(key: int, move: Move) -> tuple[Any, ...]:
    return key, move.job, int(move.state), move.attempt, move.time, plain(move.message)


def _refuse(connection: Connection, key: int, changes: Changes, last: Mapping[int, LastMove]) -> None:
    """Says which move did not find its job. Those that did are in the table as they were asked for."""
    wanted = select(jobs.c.id, jobs.c.state, jobs.c.attempt, jobs.c.updated).where(jobs.c.run == key)
    found = {number: tuple(rest) for number, *rest in connection.execute(wanted)}
    for number, end in last.items():
        move = end.move
        if found.get(number) != (move.state, move.attempt, move.time):
            now = State(found[number][0]).name if number in found else "not in the run"
            raise IllegalTransition(f"job {number} is {now}, asked to move to {_first(changes, number).name}")
    raise IllegalTransition("a job in a final state was asked to move there again")


def _first(changes: Changes, job: int) -> State:
    return next(move.state for move in changes.moves if move.job == job)
