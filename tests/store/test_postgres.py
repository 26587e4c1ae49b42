"""What is PostgreSQL's alone: its tables, its server's deaths, and many processes at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.store import open_store, postgres_batch, postgres_home, postgres_link
from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import read_choice, write_choice
from cwlbalsam.store.postgres import PostgresStore
from cwlbalsam.store.schema import metadata

RUN = "0199"
WRITERS = """
import os, sys, traceback
from pathlib import Path
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.store import open_store, postgres_home  # imported once, before the forks

home, processes, batches = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def write(run):
    store = open_store(home)
    store.put_program("digest", b"program")
    record = RunRecord(id=run, name="w", document="w.cwl", program="digest", created=1.0, directory="/d")
    jobs = [BalsamJob(id=n, name=f"a[{n}]", kind="job", process=1, state=State.READY) for n in range(8)]
    store.create_run(record, Changes(jobs=jobs))
    for number in range(batches):
        moves = [Move(job=n, state=State.RUNNING, time=1.0, attempt=number) for n in range(8)]
        store.apply(run, Changes(moves=moves))
    store.finish_run(run, "finished", ended=2.0)
    store.close()

for number in range(processes):
    if os.fork() == 0:
        try:
            write(f"0199-{number:02}")
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
sys.exit(sum(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(processes)))
"""


@pytest.fixture
def store(empty_postgres: Path) -> Iterator[PostgresStore]:
    made = open_store(empty_postgres)
    assert isinstance(made, PostgresStore)
    made.put_program("digest", b"program")
    yield made
    made.close()


def record(run: str = RUN) -> RunRecord:
    return RunRecord(id=run, name="w", document="w.cwl", program="digest", created=1.0, directory="/d")


def ready(number: int, name: str = "") -> BalsamJob:
    return BalsamJob(id=number, name=name or f"a[{number}]", kind="job", process=1, state=State.READY)


def running(number: int, **fields: Any) -> Changes:
    return Changes(moves=[Move(job=number, state=State.RUNNING, time=1.0, attempt=1, **fields)])


def kill(home: Path, *others: int) -> None:
    """As the kernel does when memory runs out. others: of the server's processes, which else live on for a moment."""
    server = postgres_home.chosen_server(home)
    pid = servers.running_pid(server)
    for one in (pid, *others):
        os.kill(one, signal.SIGKILL)
    while servers.running_pid(server) == pid:
        time.sleep(0.01)


def test_the_migrations_make_the_tables_of_the_schema(store: PostgresStore) -> None:
    with store.link.connection() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        connection.rollback()


def test_a_store_of_a_newer_version_is_refused(store: PostgresStore, empty_postgres: Path) -> None:
    store.link.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    try:
        with pytest.raises(UserError, match="made by a newer cwlbalsam"):
            open_store(empty_postgres)
    finally:
        store.link.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0004'")))


def test_a_nul_in_what_a_command_has_said_is_replaced(store: PostgresStore) -> None:
    store.create_run(record(), Changes(jobs=[ready(0)]))
    store.apply(RUN, running(0, message="a\0b"))
    store.finish_run(RUN, "failed", message="a\0b", ended=2.0)
    assert store.job(RUN, 0).message == store.events(RUN)[0].message == store.run(RUN).message == "a\ufffdb"


def test_a_glob_takes_the_signs_of_a_pattern_as_they_are(store: PostgresStore) -> None:
    names = ["a_b%", "axb%", "a\\b", "a\tb\nc"]
    store.create_run(record(), Changes(jobs=[ready(n, name) for n, name in enumerate(names)]))
    assert [store.job(RUN, n).name for n in range(4)] == names
    assert [job.id for job in store.jobs(RUN, name="a_*")] == [0]
    assert [job.id for job in store.jobs(RUN, name="a?b%")] == [0, 1]
    assert [job.id for job in store.jobs(RUN, name="*\\*")] == [2]


def test_a_server_killed_between_two_transactions_is_started_again(store: PostgresStore, empty_postgres: Path) -> None:
    store.create_run(record(), Changes(jobs=[ready(0)]))
    kill(empty_postgres)
    store.apply(RUN, running(0))
    assert [event.state for event in store.events(RUN)] == [State.RUNNING]


def test_a_server_killed_within_a_transaction_loses_nothing(store: PostgresStore, empty_postgres: Path) -> None:
    store.create_run(record(), Changes(jobs=[ready(0)]))
    calls = []

    def work(connection: Connection) -> str:
        postgres_batch.apply(connection, 1, running(0))
        if not calls:
            kill(empty_postgres, connection.connection.driver_connection.info.backend_pid)  # type: ignore[union-attr]
        calls.append(connection)
        return f"attempt {len(calls)}"

    assert store.link.write(work) == "attempt 2"
    assert len(store.events(RUN)) == 1


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_done_once(
    store: PostgresStore, empty_postgres: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    store.create_run(record(), Changes(jobs=[ready(0)]))
    dialect = store.link._engine.dialect
    commit = dialect.do_commit

    def die(connection: Any) -> None:
        monkeypatch.undo()
        if committed:
            commit(connection)
        kill(empty_postgres)
        commit(connection)
        connection.execute("SELECT 1")  # a commit of nothing asks the server nothing

    monkeypatch.setattr(dialect, "do_commit", die)
    calls = []
    attempts = store.link.write(lambda connection: calls.append(connection) or apply_once(connection, len(calls)))
    assert attempts == (1 if committed else 2)
    assert len(store.events(RUN)) == 1
    assert store.job(RUN, 0).attempt == 1


def apply_once(connection: Connection, call: int) -> int:
    postgres_batch.apply(connection, 1, running(0))
    return call


def test_a_connection_that_the_server_ends_is_made_again(store: PostgresStore) -> None:
    ends = text("SELECT pg_terminate_backend(pg_backend_pid())")
    calls: list[Connection] = []

    def work(connection: Connection) -> int:
        calls.append(connection)
        if len(calls) == 1:
            connection.execute(ends)
        return len(calls)

    assert store.link.write(work) == 2
    store.create_run(record(), Changes())


def test_who_cannot_reach_the_server_gives_up_after_a_while(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "PATIENCE_SECONDS", 0.1)
    store.close()
    store.link._engine = postgres_link.create_engine("postgresql+psycopg://nobody@/none?host=/nowhere")
    with pytest.raises(UserError, match=r"No such file|connection"):
        store.runs()


def test_a_reader_with_a_cursor_misses_no_event_that_is_committed_late(
    store: PostgresStore, empty_postgres: Path
) -> None:
    """Two writers of two runs: the first holds its number back; the second one must not pass it."""
    store.create_run(record(), Changes(jobs=[ready(0)]))
    store.create_run(record("0200"), Changes(jobs=[ready(0)]))
    other = open_store(empty_postgres)
    may_commit, second = threading.Event(), threading.Thread(target=lambda: other.apply("0200", running(0)))

    def slow(connection: Connection) -> None:
        postgres_batch.apply(connection, 1, running(0))
        second.start()
        second.join(0.3)
        assert second.is_alive()
        may_commit.set()

    store.link.write(slow)
    second.join()
    other.close()
    assert may_commit.is_set()
    assert store.events(RUN)[0].seq < store.events("0200")[0].seq


def test_writers_of_one_run_take_turns(store: PostgresStore, empty_postgres: Path) -> None:
    store.create_run(record(), Changes(jobs=[ready(n) for n in range(40)]))
    others = [open_store(empty_postgres) for _ in range(2)]

    def write(mine: Any, order: Callable[[list[Move]], list[Move]]) -> None:
        for attempt in range(20):
            moves = [Move(job=n, state=State.RUNNING, time=1.0, attempt=attempt) for n in range(40)]
            mine.apply(RUN, Changes(moves=order(moves)))

    orders: list[Callable[[list[Move]], list[Move]]] = [lambda moves: moves, lambda moves: moves[::-1]]
    threads = [threading.Thread(target=write, args=pair) for pair in zip(others, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others:
        one.close()
    assert len(store.events(RUN)) == 2 * 20 * 40


def test_twenty_processes_write_to_one_store(store: PostgresStore, empty_postgres: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITERS, str(empty_postgres), "20", "5"], check=True)
    assert [run.status for run in store.runs()] == ["finished"] * 20
    numbers = [event.seq for run in store.runs() for event in store.events(run.id)]
    assert len(numbers) == len(set(numbers)) == 20 * 5 * 8


def test_twenty_processes_write_while_the_server_is_killed(store: PostgresStore, empty_postgres: Path) -> None:
    command = [sys.executable, "-c", WRITERS, str(empty_postgres), "20", "20"]
    writers = subprocess.Popen(command)
    while len(store.runs()) < 10:
        time.sleep(0.01)
    for _ in range(3):
        kill(empty_postgres)
        store.runs()
        time.sleep(0.3)
    assert writers.wait() == 0
    assert [run.status for run in store.runs()] == ["finished"] * 20
    for run in store.runs():
        attempts = [event.attempt for event in store.events(run.id)]
        assert attempts == [number for number in range(20) for _ in range(8)]


def test_a_store_that_has_moved_meanwhile_takes_no_new_run(store: PostgresStore, empty_postgres: Path) -> None:
    write_choice(empty_postgres, read_choice(empty_postgres))
    with pytest.raises(UserError, match="was moved"):
        store.create_run(record(), Changes())
    assert store.runs() == []
