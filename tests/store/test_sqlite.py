import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from cwlbalsam import store
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import Changes, RunRecord
from cwlbalsam.store import host, migrate, open_store, sqlite, sqlite_leases
from cwlbalsam.store.schema import metadata

RUN = RunRecord(id="0199", name="w", document="w.cwl", program="d", created=1.0, directory="/d")


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/store.db", poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert migrate.head_version() == sqlite.SCHEMA_VERSION


def test_a_new_store_is_what_the_migrations_make(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    migrate.create(tmp_path / "migrated.db")
    assert _dump(tmp_path / "store.db") == _dump(tmp_path / "migrated.db")


def _dump(path: Path) -> list[str]:
    """All that is in a store, whatever blanks its statements were written with, and what its pragmas say."""
    connection = sqlite3.connect(path)
    pragmas = [str(connection.execute(f"PRAGMA {name}").fetchone()) for name in ("user_version", "journal_mode")]
    statements = sorted("".join(statement.split()) for statement in connection.iterdump())
    connection.close()
    return pragmas + [statement for statement in statements if "sqlite_sequence" not in statement]


def test_every_statement_fits_the_schema_and_searches_large_tables_by_an_index() -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        for name, statement in (sqlite.STATEMENTS | sqlite_leases.STATEMENTS).items():
            values = ("1",) * statement.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            for table in ("jobs", "edges", "events"):
                scans = [row[3] for row in plan if f"SCAN {table}" in row[3]]
                # All that is in this one may be leased.
                assert set(scans) <= {"SCAN jobs USING INDEX ix_jobs_offered"}, (name, plan)


def test_a_warm_start_imports_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    code = (
        "import sys; from pathlib import Path; from cwlbalsam.store import open_store\n"
        f"open_store(Path({str(tmp_path)!r})).runs()\n"
        "assert not {'sqlalchemy', 'alembic', 'asyncio'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_many_first_starts_at_once_make_one_good_store(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cwlbalsam.store import open_store\n"
        f"open_store(Path({str(tmp_path)!r})).put_program(sys.argv[1], b'')"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(8)]
    assert [process.wait() for process in started] == [0] * 8
    store = open_store(tmp_path)
    assert [store.get_program(str(number)) for number in range(8)] == [b""] * 8
    store.close()


def test_an_older_store_is_copied_and_upgraded(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("CREATE TABLE of_old (x)")
    connection.commit()
    connection.close()
    store = open_store(tmp_path)
    store.put_program("d", b"")
    store.close()
    assert (tmp_path / "store.db.before-upgrade").exists()


def test_the_tables_that_nobody_wrote_go_and_all_else_stays(tmp_path: Path) -> None:
    new = tmp_path / "store.db"
    with migrate.begin_sqlite(new) as begun:
        config = migrate.configuration()
        config.attributes["connection"] = begun
        alembic.command.upgrade(config, "0003")
        begun.execute(sqlalchemy.text("PRAGMA user_version = 3"))
        begun.execute(sqlalchemy.text("INSERT INTO programs VALUES ('d', x'aa', 1.0)"))
    with closing(open_store(tmp_path)) as store:
        assert store.get_program("d") == b"\xaa"
        assert store.links() == {}
    open_store(tmp_path / "other").close()
    assert _dump(tmp_path / "other" / "store.db")[2:] == [
        line for line in _dump(new)[2:] if not line.startswith('INSERTINTO"programs"')
    ]


def test_an_older_store_that_lacks_a_table_is_the_users_to_mend(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0003');"
            "PRAGMA user_version = 3"
        )
    with pytest.raises(UserError, match="no such table: replicas"):
        open_store(tmp_path)


def test_a_store_that_could_not_be_made_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text(f"{store.SCHEMA.read_text()}CREATE TABLE runs (again TEXT);")
    monkeypatch.setattr(store, "SCHEMA", broken)
    with pytest.raises(UserError, match="already exists"):
        open_store(tmp_path)
    assert not (tmp_path / "store.db").exists()
    monkeypatch.undo()
    open_store(tmp_path).close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(UserError, match="made by a newer cwlbalsam"):
        open_store(tmp_path)


def test_a_file_that_is_no_database_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("This is no database. " * 50)
    with pytest.raises(UserError, match=r"store\.db: file is not a database"):
        open_store(tmp_path)


def test_a_home_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Not a directory"):
        open_store(tmp_path / "file" / "home")


def test_a_second_host_is_refused_while_runs_are_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_store(tmp_path)
    here.put_program("d", b"")

    def be(name: str, boot_id: str) -> None:
        monkeypatch.setattr(host, "this_host", lambda: host.Host(name, boot_id))

    be("login2", "other-boot")
    there = open_store(tmp_path)
    here.create_run(RUN, Changes())
    with pytest.raises(UserError, match=f"active on host '{host.platform.node()}', and this is 'login2'"):
        open_store(tmp_path)
    with pytest.raises(UserError, match="active on host"):
        there.create_run(RUN, Changes())
    monkeypatch.undo()
    be("a-container", host.this_host().boot_id)
    open_store(tmp_path).close()
    here.finish_run(RUN.id, "finished", ended=2.0)
    be("login2", "other-boot")
    open_store(tmp_path).close()
    here.close()
    there.close()


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = open_store(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: store.put_program(str(number), b""), range(100)))
    assert store.get_program("99") == b""
    store.close()


def test_a_full_disk_is_an_error_of_the_users_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.link.connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(UserError, match=r"store\.db: database or disk is full"):
        store.put_program("d", b"x" * 1_000_000)
    store.close()
