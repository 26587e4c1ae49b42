"""Copies all that a store holds into another one, of the same kind or not.

Rows go over as they are, but that a run's number and an event's number grow by what the target has given out already.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, text, true

from cwlbalsam.errors import UserError
from cwlbalsam.store.schema import edges, events, jobs, links, programs, runs, sessions

ROWS_AT_ONCE = 5_000
OF_RUNS = (jobs, edges, events)
MOVED = (programs, runs, *OF_RUNS, sessions, links)


class Shift(Struct, frozen=True):
    """What is added to the numbers of runs and of events."""

    run: int
    seq: int


def copy_store(source: Connection, target: Connection) -> dict[str, int]:
    """Rows copied, by table. Both are in transactions; nothing is committed.

    Runs that the target has already, as they are, are left out. Raises UserError if it has one that has gone on
    differently, or if other numbers of rows arrive than were sent.
    """
    left_out = _known_runs(source, target)
    shift = Shift(_last(target, runs, "key"), _last(target, events, "seq"))
    wanted: dict[Table, ColumnElement[bool]] = {table: true() for table in MOVED}
    if left_out:
        wanted[runs] = runs.c.key.not_in(left_out)
        wanted |= {table: table.c.run.not_in(left_out) for table in OF_RUNS}
    for table in (programs, sessions):
        (key,) = table.primary_key.columns
        known = list(target.execute(select(key)).scalars())
        wanted[table] = key.not_in(known) if known else true()
    _make_way(source, target)
    sent = {table.name: _copy_table(source, target, table, wanted[table], shift) for table in MOVED}
    for table, column in ((runs, runs.c.key), *((one, one.c.run) for one in OF_RUNS)):
        arrived = target.execute(select(func.count()).select_from(table).where(column > shift.run)).scalar_one()
        if arrived != sent[table.name]:
            raise UserError(f"{sent[table.name]} rows of '{table.name}' were sent, but {arrived} have arrived")
    _go_on_counting(source, target, shift)
    return sent


def _make_way(source: Connection, target: Connection) -> None:
    """What the source knows of a link takes the place of what the target knew."""
    key = list(links.primary_key.columns)
    for link in source.execute(select(*key)):
        target.execute(delete(links).where(and_(*(column == value for column, value in zip(key, link, strict=True)))))


def _known_runs(source: Connection, target: Connection) -> list[int]:
    """Keys, in the source, of runs that are in the target as they are."""
    columns = (runs.c.id, runs.c.status, runs.c.claimed, runs.c.ended)
    there = {row.id: tuple(row) for row in target.execute(select(*columns))}
    here = {row.id: tuple(row) for row in source.execute(select(*columns))} if there else {}
    both = here.keys() & there.keys()
    differing = sorted(run for run in both if here[run] != there[run])
    if differing:
        raise UserError(
            f"the other store has {len(differing)} runs of this one that have gone on differently",
            hint="\n".join(run[:13] for run in differing[:10]),
        )
    return list(source.execute(select(runs.c.key).where(runs.c.id.in_(both))).scalars()) if both else []


def _copy_table(source: Connection, target: Connection, table: Table, wanted: ColumnElement[bool], shift: Shift) -> int:
    names = [column.name for column in table.columns]
    found = select(table).where(wanted).order_by(*table.primary_key.columns)
    sent = 0
    result = source.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE).execute(found)
    for rows in result.partitions():
        moved = _shifted(names, table is runs, rows, shift)
        if target.dialect.name == "sqlite":
            target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in moved])
        else:
            from cwlbalsam.store.postgres_batch import copy_rows, plain

            copy_rows(target, table, names, ([plain(x) if isinstance(x, str) else x for x in row] for row in moved))
        sent += len(rows)
    return sent


def _shifted(names: Sequence[str], is_run: bool, rows: Sequence[Any], shift: Shift) -> Iterator[tuple[Any, ...]]:
    added: Mapping[str, int] = {"key" if is_run else "run": shift.run, "seq": shift.seq}
    grown = [(place, added[name]) for place, name in enumerate(names) if added.get(name)]
    for row in rows:
        values = list(row)
        for place, more in grown:
            values[place] += more
        yield tuple(values)


def _last(connection: Connection, table: Table, column: str) -> int:
    """The last number given out, also if its row is gone."""
    highest = int(connection.execute(select(func.max(table.c[column]))).scalar() or 0)
    if connection.dialect.name == "sqlite":
        if column != "seq":
            return highest
        counted = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")).scalar()
    else:
        sequence = f"{table.name}_{column}_seq"
        counted = connection.execute(text(f"SELECT CASE WHEN is_called THEN last_value END FROM {sequence}")).scalar()  # noqa: S608
    return max(highest, int(counted or 0))


def _go_on_counting(source: Connection, target: Connection, shift: Shift) -> None:
    """A reader's cursor must not see a number again."""
    last_seq = shift.seq + _last(source, events, "seq")
    if target.dialect.name == "sqlite":
        target.execute(text("DELETE FROM sqlite_sequence WHERE name = 'events'"))
        target.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', :last)"), {"last": last_seq})
        return
    for sequence, last in (("events_seq_seq", last_seq), ("runs_key_seq", _last(target, runs, "key"))):
        if last:
            target.execute(select(func.setval(sequence, last)))
