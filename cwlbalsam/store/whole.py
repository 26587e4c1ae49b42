"""A whole store at once: held still, copied, put in the place of another. Imports SQLAlchemy and alembic."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from cwlbalsam.errors import UserError
from cwlbalsam.store import STORE_NAME, bring_up_to_date, open_sqlite
from cwlbalsam.store.choice import Choice
from cwlbalsam.store.migrate import begin_sqlite


@contextmanager
def exclusive(home: Path, choice: Choice) -> Iterator[Connection]:
    """A transaction in which nobody else writes or begins a run; committed at the end."""
    if choice.engine == "sqlite":
        open_sqlite(home).close()
        with begin_sqlite(home / STORE_NAME) as begun:
            yield begun
        return
    from cwlbalsam.store.postgres_home import open_link

    with closing(open_link(home, choice)) as link, link.connection() as connection, connection.begin():
        connection.exec_driver_sql("LOCK TABLE runs, events IN EXCLUSIVE MODE")
        yield connection


@contextmanager
def snapshot(home: Path, choice: Choice) -> Iterator[Connection]:
    """PostgreSQL as it is at one moment, while others write."""
    from cwlbalsam.store.postgres_home import open_link

    with closing(open_link(home, choice)) as link, link.connection() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def clear(connection: Connection) -> None:
    """Removes all from a store on PostgreSQL; numbers of events are not given out again."""
    connection.exec_driver_sql("TRUNCATE programs, runs, jobs, edges, events, sessions, links")


def copy_file(source: Path, target: Path) -> None:
    """A SQLite store, while others may write to it. Raises UserError if it is none."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written)
            version = written.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise UserError(f"{source}: {error}") from error
    if not version:
        raise UserError(f"{source} is no copy of a store")
    in_one_file(target)


def upgrade_copy(path: Path) -> None:
    """Raises UserError if a newer cwlbalsam made it."""
    bring_up_to_date(path)
    path.with_name(f"{path.name}.before-upgrade").unlink(missing_ok=True)


def in_one_file(path: Path) -> None:
    """Without the files that WAL keeps beside a store. Raises UserError if another process has it open."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            raise UserError(f"{path}: {error}", hint="another process has it open: wait for its end") from error


def put_in_place(new: Path, path: Path) -> None:
    """Replaces a SQLite store that nobody uses; what its WAL held must not get into the new one."""
    if path.exists():
        in_one_file(path)
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    new.replace(path)
