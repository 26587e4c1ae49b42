"""Where runs, jobs and events are kept."""

import sqlite3
from pathlib import Path

from cwlbalsam.errors import UserError
from cwlbalsam.store import host as hosts
from cwlbalsam.store.base import HistoryEntry, Store, StoredJob
from cwlbalsam.store.choice import read_choice
from cwlbalsam.store.sqlite import SCHEMA_VERSION, SqliteStore

STORE_NAME = "store.db"
SCHEMA = Path(__file__).with_name("schema.sql")

__all__ = [
    "STORE_NAME",
    "HistoryEntry",
    "Store",
    "StoredJob",
    "bring_up_to_date",
    "create_sqlite",
    "open_sqlite",
    "open_store",
]


def open_store(home: Path) -> Store:
    """Opens the store that home has chosen, makes it if there is none, upgrades it if it is old.

    Raises UserError if home cannot be written, another host has active runs in SQLite, the PostgreSQL server cannot be
    started or reached, or the store is too new or broken.
    """
    choice = read_choice(home)
    if choice.engine == "sqlite":
        return open_sqlite(home)
    from cwlbalsam.store.postgres_home import open_postgres  # and with it SQLAlchemy, which takes its time

    return open_postgres(home, choice)


def open_sqlite(home: Path) -> SqliteStore:
    """Whatever home has chosen."""
    path, holder, host = home / STORE_NAME, home / "store.host", hosts.this_host()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        hosts.refuse_second_host(holder, host)
        if _version(path) < SCHEMA_VERSION:
            with hosts.locked(home / "store.lock"):
                bring_up_to_date(path)
        return SqliteStore(path, holder, host)
    except OSError as error:
        raise UserError(f"cannot use {home}: {error.strerror}", hint="set CWLBALSAM_HOME to another folder") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: {error}", hint="set CWLBALSAM_HOME to another folder, or restore a copy") from error


def bring_up_to_date(path: Path) -> None:
    """Makes or upgrades a SQLite store; under the home's lock, where another process may have been first."""
    version = _version(path)
    if version >= SCHEMA_VERSION:
        return
    if not path.exists():
        create_sqlite(path)
        return
    from cwlbalsam.store import migrate

    migrate.upgrade(path)


def create_sqlite(path: Path) -> None:
    """Makes an empty store, complete or not at all; the same as `migrate.create` without its second of imports."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{SCHEMA.read_text()}COMMIT;\nPRAGMA journal_mode = WAL;")
    finally:
        connection.close()
    new.replace(path)


def _version(path: Path) -> int:
    """The number of the store's schema, 0 if there is none. Raises UserError if a newer cwlbalsam made it."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(path, timeout=60)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path}: made by a newer cwlbalsam (schema {version}, this one knows {SCHEMA_VERSION})",
            hint="upgrade cwlbalsam, or set CWLBALSAM_HOME to another folder",
        )
    return version
