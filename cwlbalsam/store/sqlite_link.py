"""One connection to a SQLite store, and its transactions: only one process writes at a time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cwlbalsam.errors import UserError

PRAGMAS = (
    "busy_timeout = 60000",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 8192",  # pages: the default of 1000 waits for the disk after each few thousand jobs
)

USERS_ERRORS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
    }
)
"""Troubles of the disk, not of this program: their extended codes have these in their low byte."""


class SqliteLink:
    """Threads may share it; they take turns."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in PRAGMAS:
            self.connection.execute(f"PRAGMA {pragma}")

    def close(self) -> None:
        self.connection.close()

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """All that a statement finds."""
        with self._lock:
            return self.connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises UserError if the disk fails."""
        with self._lock:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in USERS_ERRORS:
                    raise UserError(f"{self._path}: {error}") from error
                raise
