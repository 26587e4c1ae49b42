"""Makes and upgrades stores of both kinds; the only module that imports alembic, and rarely imported itself."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """alembic's configuration; no file of the user's is read."""
    config = Config()
    # ConfigParser would take a percent sign in the path for an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def head_version() -> int:
    """The newest schema's number, which SQLite keeps as `user_version`."""
    return int(ScriptDirectory.from_config(configuration()).get_current_head() or 0)


def create(path: Path) -> None:
    """Makes an empty store, complete or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with begin_sqlite(new) as begun:
        _upgrade(begun)
    connection = sqlite3.connect(new, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    new.replace(path)


def upgrade(path: Path) -> None:
    """Brings an older store up to date in one transaction, after a copy was put beside it.

    Raises sqlite3.DatabaseError for a store that is not as its version was.
    """
    source, copy = sqlite3.connect(path), sqlite3.connect(path.with_name(f"{path.name}.before-upgrade"))
    source.backup(copy)
    source.close()
    copy.close()
    try:
        with begin_sqlite(path) as begun:
            _upgrade(begun)
    except DBAPIError as error:
        raise error.orig or error from error


def run_migrations(connection: Connection) -> None:
    """Makes or upgrades the tables, in the transaction that `connection` is in."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _upgrade(connection: Connection) -> None:
    run_migrations(connection)
    connection.execute(text(f"PRAGMA user_version = {head_version()}"))


@contextmanager
def begin_sqlite(path: Path) -> Iterator[Connection]:
    """A transaction in which nobody else can write; committed at the end."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path, timeout=60), poolclass=NullPool)

    # sqlite3 would commit before a CREATE TABLE if it began transactions itself.
    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        yield connection
    engine.dispose()
