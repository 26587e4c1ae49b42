"""A real PostgreSQL server for tests, in a home of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Choice, Server, read_choice, write_choice
from cwlbalsam.store.postgres_home import open_link
from cwlbalsam.store.schema import metadata


def empty(home: Path) -> None:
    """Removes all rows of a home's store, which is not in use."""
    link = open_link(home, read_choice(home))
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with link.connection() as connection, connection.begin():
        connection.execute(sqlalchemy.text(f"TRUNCATE {names} RESTART IDENTITY"))
    link.close()


@contextmanager
def server_home() -> Iterator[tuple[Path, Server]]:
    """A home whose store is on a server that is up; all of it is gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="cwlbalsam-postgres-"))
    server = servers.plan_server(home)
    try:
        servers.create_data(server, durable=False)
        servers.start(server)
        write_choice(home, Choice(engine="postgres", server=server))
        yield home, server
    finally:
        servers.stop(server)
        for folder in (home, Path(server.sockets), Path(server.data)):
            shutil.rmtree(folder, ignore_errors=True)
