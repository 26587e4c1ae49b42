"""One connection to a PostgreSQL server, and transactions that happen exactly once, whatever happens to the server.

A connection that breaks during COMMIT leaves unknown whether it took place. So each process has a row in `writers`, and
each of its transactions begins by writing its number there, which is refused if the number is there already: then a
first attempt, whose answer was lost, has done all of it. An attempt that the server has not yet noticed to be broken
holds the row's lock, and the next one waits for it. (`pg_xact_status` would not do: after a crash the server may give
the number of a lost transaction to another one.)
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from cwlbalsam.errors import UserError
from cwlbalsam.store.schema import writers

SCHEMA = "cwlbalsam"
"""Of the tables, so that they may share a database with others."""

PATIENCE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 1.0

Answer = TypeVar("Answer")
Work = Callable[[Connection], Answer]

AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: nothing was done, and it will do at once."""
LOST = ("08", "57P")
"""Classes of a connection that has failed, and of a server that stops or starts."""
USERS = ("53", "54", "55", "58", "28", "3D", "42501")
"""Full disks, too many connections, system errors, what a role may not do."""

_given = insert(writers)
TAKE_NUMBER = _given.on_conflict_do_update(
    index_elements=["id"],
    set_={"last": _given.excluded.last, "used": _given.excluded.used},
    where=writers.c.last < _given.excluded.last,
).returning(writers.c.last)


class Link:
    """url: without a password. wake: called before a new attempt to connect: starts a private server, if it is down.

    Threads may share it; they take turns.
    """

    def __init__(self, url: URL, password: str, wake: Callable[[], None] | None = None) -> None:
        self.url, self.wake = url, wake
        self._lock = threading.RLock()
        self._writer, self._numbers = uuid.uuid4().hex, itertools.count(1)
        secret = {"password": password} if password else {}
        self._engine = create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": 10, "application_name": "cwlbalsam", **secret}
        )
        event.listen(self._engine, "connect", _prepare)
        self._connection: Connection | None = None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._engine.dispose()

    def read(self, work: Work[Answer]) -> Answer:
        """What `work` reads, in one transaction, which sees what was committed before each statement."""

        def attempt(connection: Connection) -> Answer:
            with connection.begin() as transaction:
                answer = work(connection)
                transaction.rollback()
            return answer

        return self._patiently(attempt)

    def write(self, work: Work[Answer]) -> Answer:
        """Does `work` in one transaction, exactly once; it may be called more often than that."""
        answers: list[Answer] = []

        def attempt(connection: Connection) -> Answer:
            row = {"id": self._writer, "last": number, "used": time.time()}
            with connection.begin():
                if connection.execute(TAKE_NUMBER, row).first() is None:
                    return answers[-1]  # of the attempt that was committed: whichever took the number last
                answers.append(work(connection))
            return answers[-1]

        with self._lock:  # until it is done: numbers must be written in their order
            number = next(self._numbers)
            return self._patiently(attempt)

    def repeat(self, work: Work[Answer]) -> Answer:
        """Does `work`, which begins and commits its own transactions, until the server has lived through it."""
        return self._patiently(work)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """For work that is not repeated: migrations, and moving a whole store. Raises UserError."""
        with self._lock, self._told():
            yield self._open()

    def _patiently(self, attempt: Work[Answer]) -> Answer:
        until, pause = 0.0, 0.01
        while True:
            try:
                with self._lock:
                    return attempt(self._open())
            except (DBAPIError, psycopg.Error) as error:
                again = _state(error) in AGAIN
                if not again and not self._is_lost(error):
                    raise self._users(error) from error
                until = until or time.monotonic() + PATIENCE_SECONDS
                if time.monotonic() > until:
                    raise self._gone(error) from error
            if not again:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                if self.wake is not None:
                    self.wake()

    def _open(self) -> Connection:
        if self._connection is not None and (self._connection.invalidated or _is_closed(self._connection)):
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _is_lost(self, error: Exception) -> bool:
        state = _state(error)
        if state:
            return state.startswith(LOST)
        # libpq gives no code for what it could not send or receive.
        return self._connection is None or self._connection.invalidated or _is_closed(self._connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            raise (self._gone(error) if self._is_lost(error) else self._users(error)) from error

    def _gone(self, error: Exception) -> UserError:
        return UserError(f"{self.name}: {_words(error)}", hint="`cwlbalsam store status` tells more")

    def _users(self, error: Exception) -> Exception:
        """The error to raise: the user's to mend, or as it is."""
        mend = (_state(error) or "XX").startswith(USERS)
        return UserError(f"{self.name}: {_words(error)}") if mend else error

    @property
    def name(self) -> str:
        return self.url.render_as_string(hide_password=True)


def _prepare(connection: Any, _: Any) -> None:
    connection.execute(f"SET search_path TO {SCHEMA}")
    # Tables grow faster than the planner's statistics of them, and every statement has its index: to sort all jobs that
    # are offered, for the first 16 of them, took 9 ms instead of 0.3.
    connection.execute("SET enable_bitmapscan TO off")
    connection.execute("SET enable_seqscan TO off")
    connection.commit()


def _is_closed(connection: Connection) -> bool:
    return bool(connection.connection.driver_connection.closed)  # type: ignore[union-attr]


def _state(error: Exception) -> str:
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", None) or "")


def _words(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())


def server_version(connection: Connection) -> tuple[int, str]:
    """The server's version as one number, and the encoding of its database."""
    row = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
    )
    number, encoding = row.one()
    return int(number), str(encoding)


def set_password(link: Link, password: str) -> None:
    """Of the role that the link is of; the server sees no more than what it may keep."""
    with link.connection() as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        role = str(connection.execute(text("SELECT current_user")).scalar())
        scrambled = driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        connection.exec_driver_sql(f"ALTER ROLE \"{role}\" PASSWORD '{scrambled}'")
