"""A home's PostgreSQL store: which server, with which password, started when it is needed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cwlbalsam.errors import UserError
from cwlbalsam.store import server as servers
from cwlbalsam.store.binaries import INSTALL_HINT
from cwlbalsam.store.choice import Choice, Server, choice_stamp, read_choice, read_secret, refuse_if_moved
from cwlbalsam.store.host import locked, this_host
from cwlbalsam.store.sqlite import SCHEMA_VERSION

try:
    import psycopg as _psycopg  # noqa: F401
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    from cwlbalsam.store.postgres import PostgresStore, prepare_tables
    from cwlbalsam.store.postgres_link import Link
except ImportError as error:
    raise UserError(f"PostgreSQL needs a Python package: {error}", hint=INSTALL_HINT) from error

DRIVER = "postgresql+psycopg"
LOCK_NAME = "store.lock"


def open_postgres(home: Path, choice: Choice) -> PostgresStore:
    """Raises UserError if the server cannot be started, reached or used."""
    stamp = choice_stamp(home)
    link = open_link(home, choice, partial(refuse_if_moved, home, stamp))
    return PostgresStore(link, partial(refuse_if_moved, home, stamp))


def open_link(home: Path, choice: Choice, current: Callable[[], None] = lambda: None) -> Link:
    """A connection with tables as they should be. current: raises if the home has gone over to another store."""
    if choice.server is None:
        link = Link(make_url(choice.url).set(drivername=DRIVER), read_secret(home))
    else:
        link = _private_link(home, choice.server, current)
    prepare = partial(prepare_tables, schema_version=SCHEMA_VERSION)
    try:
        if link.wake is not None:
            link.repeat(prepare)  # it is up, unless it is killed just now
        else:
            with link.connection() as connection:  # what is wrong with an address is told at once
                prepare(connection)
    except BaseException:
        link.close()
        raise
    return link


def ensure_up(home: Path, server: Server, current: Callable[[], None] = lambda: None) -> None:
    """Starts the home's server if it is down; processes that want that at once take turns. Raises UserError."""
    if servers.answers(server):
        return
    with locked(home / LOCK_NAME):
        current()
        servers.start(server)


def _private_link(home: Path, server: Server, current: Callable[[], None]) -> Link:
    user = servers.USER
    runs_at = servers.running_host(server)
    if server.listen and runs_at is not None and not this_host().may_follow(runs_at):
        address = URL.create(DRIVER, user, host=server.host, port=server.port, database=servers.DATABASE)
        return Link(address, read_secret(home))
    wake = partial(ensure_up, home, server, current)
    wake()
    url = URL.create(DRIVER, user, port=server.port, database=servers.DATABASE, query={"host": server.sockets})
    return Link(url, "", wake)


def chosen_server(home: Path) -> Server:
    """Raises UserError if the home has no server of its own."""
    choice = read_choice(home)
    if choice.server is None:
        what = "SQLite, which has no server" if choice.engine == "sqlite" else "a server that is not its own"
        raise UserError(f"the store of {home} is kept by {what}")
    return choice.server


def split_url(given: str) -> tuple[str, str]:
    """A URL without its password, and the password. Raises UserError, which does not show it."""
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = URL.create("unknown")
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise UserError("the URL is not of PostgreSQL", hint="it looks like postgresql://USER@HOST:PORT/DATABASE")
    hidden = url.query.get("password", "")
    bare = URL.create(
        DRIVER, url.username, None, url.host, url.port, url.database, url.difference_update_query(["password"]).query
    )
    return bare.render_as_string(), str(url.password or hidden or "")
