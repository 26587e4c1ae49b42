"""Homes with an empty store on either engine, as users have them, and runs to fill them with."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cwlbalsam.jobs.model import BalsamJob, Changes, RunRecord, State
from cwlbalsam.store import Store, open_store
from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Choice, write_choice

ENGINES = ("sqlite", "postgres")


@contextmanager
def empty_home(engine: str) -> Iterator[Path]:
    """postgres: with a server of its own, which writes to the disk at every commit."""
    home = Path(tempfile.mkdtemp(prefix="cwlbalsam-benchmark-"))
    server = servers.plan_server(home)
    try:
        if engine == "postgres":
            servers.create_data(server)
            servers.start(server)
            write_choice(home, Choice(engine="postgres", server=server))
        open_store(home).close()
        yield home
    finally:
        servers.stop(server)
        shutil.rmtree(home)


def add_run(store: Store, run: str, jobs: int) -> None:
    """A scatter of so many jobs that are ready."""
    store.put_program("digest", b"program")
    made = [
        BalsamJob(id=n, name=f"scatter[{n}]", kind="job", process=1, step=(0, 1), inputs=bytes(60), state=State.READY)
        for n in range(jobs)
    ]
    record = RunRecord(id=run, name="", document="", program="digest", created=0.0, directory="")
    store.create_run(record, Changes(jobs=made, edges=[(0, n) for n in range(1, jobs)]))


def check(condition: bool, message: str) -> None:
    """Raises RuntimeError."""
    if not condition:
        raise RuntimeError(message)


def closing_store(home: Path) -> "closing[Store]":
    return closing(open_store(home))
