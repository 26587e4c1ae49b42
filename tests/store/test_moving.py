"""Whole stores from one engine to the other."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection, select

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.links import Figures
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.store import Store, create_sqlite, moving, open_sqlite, open_store, whole
from cwlbalsam.store.choice import read_choice
from cwlbalsam.store.leases import leases_of
from cwlbalsam.store.migrate import begin_sqlite
from tests.store.servers import empty

FIGURES = Figures(latency_seconds=1.0, file_seconds=0.5, bytes_per_second=1e6, samples=2, learned=3.5)
LINK = ("a", "c", "scp")


def fill(store: Store, run: str, jobs: int = 3, text: str = "m") -> None:
    store.put_program(f"d{run}", b"\0\xff")
    given = {"name": "w", "document": "w.cwl", "directory": "/d", "inputs": b"\0i"}
    made = [BalsamJob(id=n, name=f"a[{n}]", kind="job", process=1, inputs=b"\\x") for n in range(jobs)]
    record = RunRecord(id=run, program=f"d{run}", created=1.5, **given)  # type: ignore[arg-type]
    store.create_run(record, Changes(jobs=made, edges=[(0, n) for n in range(1, jobs)]))
    ended = {"state": State.JOB_FINISHED, "time": 2.5, "attempt": 1, "message": text, "outcome": b"\0o"}
    store.apply(run, Changes(moves=[Move(job=n, **ended) for n in range(jobs)]))  # type: ignore[arg-type]
    store.finish_run(run, "finished", outputs=b"\0", message=text, ended=3.0)


@contextmanager
def sqlite(home: Path) -> Iterator[Connection]:
    with whole.exclusive(home, read_choice(home)) as connection:
        yield connection


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    found = {
        table.name: connection.execute(select(table).order_by(*table.primary_key.columns)) for table in moving.MOVED
    }
    return {name: [tuple(row) for row in rows] for name, rows in found.items()}


def copy(source: Path, target: Path) -> dict[str, int]:
    with sqlite(source) as read, sqlite(target) as written:
        return moving.copy_store(read, written)


def test_all_is_the_same_after_the_way_there_and_back(tmp_path: Path, empty_postgres: Path) -> None:
    here = open_store(tmp_path / "one")
    for run in ("01", "02"):
        fill(here, run)
    leases_of(here).open_session("agent", "host", 30.0, 100.0)
    here.put_links({("a", "b", "scp"): FIGURES})
    here.remove_run("01")
    here.close()
    copy(tmp_path / "one", empty_postgres)
    copy(empty_postgres, tmp_path / "two")
    with sqlite(tmp_path / "one") as before, sqlite(tmp_path / "two") as after:
        there = contents(after)
        assert [len(there[name]) for name in ("programs", "runs", "jobs", "edges", "events", "sessions")] == [
            2,
            1,
            3,
            2,
            3,
            1,
        ]
        # Numbers begin anew where nothing was: a run's key is nobody's business, an event's number is kept.
        assert [row[1:] for row in there["events"]] != []
        assert [row[0] for row in there["events"]] == [row[0] for row in contents(before)["events"]]
        assert [row[2:] for row in there["jobs"]] == [row[2:] for row in contents(before)["jobs"]]


def test_numbers_of_events_go_on_where_they_were_even_if_the_last_are_gone(
    tmp_path: Path, empty_postgres: Path
) -> None:
    here = open_store(tmp_path / "one")
    for run in ("01", "02"):
        fill(here, run)
    here.remove_run("02")
    here.close()
    homes = [tmp_path / "one", empty_postgres, tmp_path / "two"]
    for source, target in itertools.pairwise(homes):
        copy(source, target)
        store = open_store(target)
        fill(store, f"1{homes.index(target)}")
        assert store.events(f"1{homes.index(target)}")[0].seq == 4 + 3 * homes.index(target)
        store.close()


def test_what_is_known_of_a_link_takes_the_place_of_what_was_known_there(tmp_path: Path) -> None:
    newer = replace(FIGURES, samples=3)
    for home, known in (("one", {("a", "b", "scp"): newer}), ("two", {("a", "b", "scp"): FIGURES, LINK: FIGURES})):
        store = open_store(tmp_path / home)
        store.put_links(known)
        store.close()
    copy(tmp_path / "one", tmp_path / "two")
    store = open_store(tmp_path / "two")
    assert store.links() == {("a", "b", "scp"): newer, LINK: FIGURES}
    store.close()


def test_runs_join_those_that_are_there(tmp_path: Path, empty_postgres: Path) -> None:
    there = open_store(empty_postgres)
    fill(there, "02", jobs=2)
    for home, run in (("one", "01"), ("two", "03")):
        here = open_store(tmp_path / home)
        fill(here, run)
        here.close()
        copy(tmp_path / home, empty_postgres)
    assert [run.id for run in there.runs()] == ["03", "02", "01"]
    for run, jobs in (("01", 3), ("02", 2), ("03", 3)):
        assert len(there.jobs(run)) == len(there.events(run)) == jobs
        assert there.counts(run) == {State.JOB_FINISHED: jobs}
    fill(there, "04")
    there.close()


def test_what_is_there_already_is_left_out_and_what_differs_is_refused(tmp_path: Path, empty_postgres: Path) -> None:
    here = open_store(tmp_path)
    fill(here, "01")
    copy(tmp_path, empty_postgres)
    fill(here, "02")
    assert copy(tmp_path, empty_postgres)["jobs"] == 3
    there = open_store(empty_postgres)
    assert [(run.id, len(there.jobs(run.id))) for run in there.runs()] == [("02", 3), ("01", 3)]
    there.finish_run("01", "failed", ended=9.0)
    there.close()
    here.close()
    with pytest.raises(UserError, match="1 runs of this one that have gone on differently\n    01"):
        copy(tmp_path, empty_postgres)


def test_rows_that_get_lost_are_noticed(tmp_path: Path, empty_postgres: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_store(tmp_path)
    fill(here, "01")
    here.close()
    shifted = moving._shifted
    monkeypatch.setattr(moving, "_shifted", lambda names, run, rows, by: list(shifted(names, run, rows, by))[:2])
    with pytest.raises(UserError, match="3 rows of 'jobs' were sent, but 2 have arrived"):
        copy(tmp_path, empty_postgres)
    there = open_store(empty_postgres)
    assert there.runs() == []
    there.close()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, st.binary(max_size=20)), min_size=1, max_size=5))
def test_any_text_and_bytes_arrive(
    tmp_path_factory: pytest.TempPathFactory, empty_postgres: Path, rows: list[Any]
) -> None:
    empty(empty_postgres)
    home = tmp_path_factory.mktemp("home")
    store = open_sqlite(home)
    store.put_program("d", b"")
    jobs = [
        BalsamJob(id=n, name=text, kind="job", process=1, state=State.READY, inputs=raw)
        for n, (text, raw) in enumerate(rows)
    ]
    record = RunRecord(id="01", name=rows[0][0], document="", program="d", created=0.1, directory="")
    store.create_run(record, Changes(jobs=jobs))
    store.close()
    copy(home, empty_postgres)
    there = open_store(empty_postgres)
    kept = [(text.replace("\0", "\ufffd"), raw) for text, raw in rows]
    assert [(job.name, job.inputs) for job in there.jobs("01")] == kept
    there.close()


def test_a_file_that_is_no_store_is_no_copy(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    for content in (b"", b"x" * 5000):
        bad.write_bytes(content)
        with pytest.raises(UserError):
            whole.copy_file(bad, tmp_path / "new")


def test_a_store_in_use_is_not_replaced(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "new")
    with ExitStack() as stack:
        used = open_sqlite(tmp_path)
        stack.callback(used.close)
        stack.enter_context(begin_sqlite(tmp_path / "store.db"))
        with pytest.raises(UserError, match="another process has it open"):
            whole.put_in_place(tmp_path / "new", tmp_path / "store.db")
