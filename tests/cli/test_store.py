"""`cwlbalsam store`, with real servers."""

import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from cwlbalsam.cli.guard import guarded
from cwlbalsam.cli.main import cli
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import BalsamJob, Changes, RunRecord, State
from cwlbalsam.store import host, open_store, postgres_home
from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Server, read_choice, read_secret
from cwlbalsam.store.host import this_host
from cwlbalsam.store.postgres import PostgresStore

DONE = "0199e6a2-0001-7000-8000-000000000000"
LATER = "0199e6a2-0002-7000-8000-000000000000"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path))
    add_run(tmp_path, DONE)
    yield tmp_path
    server = read_choice(tmp_path).server
    if server is not None:
        servers.stop(server)


@pytest.fixture(scope="session")
def empty_data(postgres_home: Path) -> Iterator[Path]:
    """What initdb makes, which takes a second."""
    home = Path(tempfile.mkdtemp(prefix="cwlbalsam-postgres-"))
    servers.create_data(servers.plan_server(home), durable=False)
    yield home / "postgres"
    shutil.rmtree(home)


@pytest.fixture
def quick_data(empty_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(server: Server) -> None:
        shutil.rmtree(server.data, ignore_errors=True)
        shutil.copytree(empty_data, server.data)

    monkeypatch.setattr(servers, "create_data", copy)


def add_run(home: Path, run: str, *, ended: bool = True, pid: int = 2**22 + 1) -> None:
    store = open_store(home)
    store.put_program("digest", b"")
    now = time.time()
    record = RunRecord(
        id=run, name="w", document="", program="digest", created=now, directory="", pid=pid, host=this_host().name
    )
    store.create_run(record, Changes(jobs=[BalsamJob(id=1, name="a", kind="job", process=1, state=State.READY)]))
    if ended:
        store.finish_run(run, "finished", ended=now)
    store.close()


def call(*arguments: str, answer: str = "") -> tuple[int, str]:
    """Exit code, and all that was printed."""
    runner = CliRunner()
    codes: list[int] = []

    def body() -> None:
        codes.append(guarded(lambda: cli.main(["store", *arguments], standalone_mode=False)))

    with runner.isolation(input=answer) as streams:
        body()
        told = streams[0].getvalue() + streams[1].getvalue()
    return codes[0], told.decode()


def runs(home: Path) -> list[str]:
    store = open_store(home)
    try:
        return [run.id for run in store.runs()]
    finally:
        store.close()


@pytest.mark.usefixtures("quick_data")
def test_a_store_goes_to_postgres_and_back(home: Path) -> None:
    code, told = call("use", "postgres")
    assert (code, "1 runs, 1 jobs" in told) == (0, True), told
    server = postgres_home.chosen_server(home)
    add_run(home, LATER)
    assert "up, process" in call("status")[1]
    assert call("use", "postgres")[0] == 1
    assert call("stop") == (0, "stopped\n")
    assert "down" in call("status")[1]
    assert call("stop") == (0, "it was not up\n")
    assert call("start") == (0, "")
    assert call("use", "sqlite")[0] == 0
    assert servers.running_pid(server) == 0
    assert runs(home) == [LATER, DONE]
    assert "2, 0 active" in call("status")[1]
    assert call("use", "postgres")[0] == 0  # over what was left there
    assert runs(home) == [LATER, DONE]


@pytest.mark.usefixtures("quick_data")
def test_a_store_is_not_moved_under_an_active_run(home: Path) -> None:
    add_run(home, LATER, ended=False, pid=os.getpid())
    for arguments in (("use", "postgres"), ("restore", "--yes", str(home / "store.db"))):
        code, told = call(*arguments)
        assert (code, "1 run is active\n    0199e6a2-0002" in told) == (1, True), told
    assert read_choice(home).engine == "sqlite"
    assert not (home / "postgres").exists()


def test_a_run_whose_process_is_gone_holds_nothing_up(home: Path, empty_postgres: Path) -> None:
    add_run(home, LATER, ended=False)
    assert call("use", "postgres", url_of(empty_postgres))[0] == 0
    assert runs(home) == [LATER, DONE]


def url_of(home: Path, user: str = "cwlbalsam") -> str:
    server = postgres_home.chosen_server(home)
    return f"postgresql://{user}@/postgres?host={server.sockets}&port={server.port}"


def test_a_server_of_ones_own_is_taken_by_its_url(home: Path, empty_postgres: Path) -> None:
    code, told = call("use", "postgres", "-", answer=url_of(empty_postgres) + "\n")
    assert code == 0, told
    add_run(home, LATER)
    assert runs(home) == runs(empty_postgres) == [LATER, DONE]
    for command in ("start", "stop"):
        assert "not its own" in call(command)[1]
    assert call("use", "sqlite")[0] == 0
    assert runs(home) == [LATER, DONE]
    assert call("use", "postgres", url_of(empty_postgres))[0] == 0  # all is there already
    assert runs(empty_postgres) == [LATER, DONE]


def test_who_opened_the_store_before_it_was_moved_adds_nothing_to_the_old_one(home: Path, empty_postgres: Path) -> None:
    early = open_store(home)
    early.put_program("digest", b"")
    assert call("use", "postgres", url_of(empty_postgres))[0] == 0
    record = RunRecord(id=LATER, name="w", document="", program="digest", created=1.0, directory="")
    with pytest.raises(UserError, match="was moved"):
        early.create_run(record, Changes())
    early.close()
    assert runs(home) == [DONE]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:sesame@h/d",
        "sesame",
        "postgresql://u:sesame@127.0.0.1:1/d",
        "postgresql://u@127.0.0.1:1/d?password=sesame",
        "postgresql://u:sesame@/d?host=/nowhere",
        "postgresql://u:sesame@h:port/d",
    ],
)
def test_a_url_that_does_not_work_changes_nothing_and_its_password_is_not_shown(home: Path, url: str) -> None:
    code, told = call("use", "postgres", "-", answer=f"{url}\n")
    assert code == 1, told
    assert "sesame" not in told
    assert read_choice(home).engine == "sqlite"
    assert read_secret(home) == ""
    assert not (home / "store.json").exists()


@pytest.mark.usefixtures("quick_data")
def test_other_hosts_reach_a_server_that_listens_with_a_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("use", "postgres")[0] == 0
    code, told = call("use", "postgres", "--listen", "127.0.0.1")
    assert code == 0, told
    secret = read_secret(home)
    server = postgres_home.chosen_server(home)
    assert f"TCP 127.0.0.1:{server.port}" in call("status")[1]
    assert secret not in told + (home / "store.json").read_text()
    monkeypatch.setattr(postgres_home, "this_host", lambda: host.Host("login2", "other-boot"))
    monkeypatch.setattr(servers, "answers", lambda _: pytest.fail("the socket is not on this host"))
    monkeypatch.setattr(postgres_home.URL, "create", functools.partial(create_local, postgres_home.URL.create))
    there = open_store(home)
    assert isinstance(there, PostgresStore)
    told_host = there.link.read(lambda connection: connection.execute(text("SELECT inet_server_port()")).scalar())
    assert told_host == server.port
    there.close()
    (home / "store.secret").write_text("wrong")
    with pytest.raises(UserError, match="password authentication failed") as refused:
        open_store(home)
    assert "wrong" not in str(refused.value)


def create_local(create, *arguments, **fields):  # type: ignore[no-untyped-def]
    """This host under the address that the test's server listens on."""
    return create(*arguments, **{**fields, "host": "127.0.0.1"})


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_copy_brings_back_what_was(
    home: Path, tmp_path_factory: pytest.TempPathFactory, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "postgres":
        assert call("use", "postgres", url_of(request.getfixturevalue("empty_postgres")))[0] == 0
    copy = tmp_path_factory.mktemp("copies") / "copy.db"
    code, told = call("backup", str(copy))
    assert (code, str(copy) in told) == (0, True), told
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "exists" in call("backup", str(copy))[1]
    add_run(home, LATER)
    assert call("restore", str(copy), answer="n\n")[0] != 0
    assert runs(home) == [LATER, DONE]
    code, told = call("restore", str(copy), "--yes")
    assert code == 0, told
    assert runs(home) == [DONE]
    add_run(home, LATER)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]


def test_a_copy_of_one_engine_goes_into_the_other(home: Path, tmp_path: Path, empty_postgres: Path) -> None:
    copy = tmp_path / "copy.db"
    assert call("backup", str(copy))[0] == 0
    assert call("use", "postgres", url_of(empty_postgres))[0] == 0
    add_run(home, LATER)
    assert call("restore", str(copy), "--yes")[0] == 0
    assert runs(home) == [DONE]


def test_what_is_no_copy_is_not_restored(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("x" * 5000)
    assert "file is not a database" in call("restore", str(bad), "--yes")[1]
    assert runs(home) == [DONE]
    assert "cannot be written" in call("backup", str(tmp_path / "no" / "such" / "file"))[1]


def test_options_that_say_nothing_together_are_refused(home: Path) -> None:
    assert call("use", "sqlite", "url")[0] == 2
    assert call("use", "sqlite", "--listen", "h")[0] == 2
    assert call("use", "postgres", "url", "--listen", "h")[0] == 2
    assert "is no ADDRESS" in call("use", "postgres", "--listen", "h:port")[1]


def test_the_choice_is_a_file_that_people_can_read(home: Path, empty_postgres: Path) -> None:
    call("use", "postgres", url_of(empty_postgres))
    assert json.loads((home / "store.json").read_text())["engine"] == "postgres"
