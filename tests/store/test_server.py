"""The private server, for real."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.store import binaries, host, identity, open_store
from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Choice, Server, read_choice, write_choice
from cwlbalsam.store.postgres_home import chosen_server, ensure_up
from tests.store.servers import server_home


@pytest.fixture
def server(postgres_home: Path) -> Iterator[Server]:
    yield chosen_server(postgres_home)
    ensure_up(postgres_home, chosen_server(postgres_home))


def test_many_processes_that_need_it_at_once_start_one_server(server: Server, postgres_home: Path) -> None:
    servers.stop(server)
    code = "import sys; from pathlib import Path; from cwlbalsam.store import open_store; open_store(Path(sys.argv[1]))"
    started = [subprocess.Popen([sys.executable, "-c", code, str(postgres_home)]) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    assert servers.running_pid(server)


def test_nobody_else_gets_at_it(server: Server) -> None:
    assert Path(server.sockets).stat().st_mode & 0o777 == 0o700
    assert Path(server.data).stat().st_mode & 0o777 == 0o700
    told = (Path(server.data) / "postmaster.pid").read_text().splitlines()
    assert told[5].strip() == ""  # no address


def test_a_server_whose_socket_was_cleaned_away_is_started_again(server: Server, postgres_home: Path) -> None:
    before = servers.running_pid(server)
    shutil.rmtree(server.sockets)
    open_store(postgres_home).close()
    assert servers.running_pid(server) not in (0, before)


def test_a_folder_of_somebody_else_for_the_socket_is_refused(server: Server, postgres_home: Path) -> None:
    servers.stop(server)
    folder = Path(server.sockets)
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(UserError, match="not a folder of yours alone"):
        open_store(postgres_home)
    folder.rmdir()
    folder.symlink_to("/")
    with pytest.raises(UserError, match="not a folder of yours alone"):
        open_store(postgres_home)
    folder.unlink()


def test_a_server_of_another_host_is_not_started_twice(
    server: Server, postgres_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Path(f"{server.data}.host")
    mark = holder.read_bytes()
    servers.stop(server)
    holder.write_bytes(mark)
    monkeypatch.setattr(servers, "this_host", lambda: host.Host("login2", "other-boot"))
    for call in (lambda: open_store(postgres_home), lambda: servers.stop(server)):
        with pytest.raises(UserError, match=r"started on host .*, and this is 'login2'"):
            call()
    assert holder.read_bytes() == mark


def test_data_that_are_gone_are_not_made_anew(server: Server, postgres_home: Path) -> None:
    servers.stop(server)
    hidden = Path(f"{server.data}.hidden")
    Path(server.data).rename(hidden)
    with pytest.raises(UserError, match="gone or broken"):
        open_store(postgres_home)
    hidden.rename(server.data)


def test_a_number_that_another_process_has_got_is_not_the_server(server: Server) -> None:
    servers.stop(server)
    lock = Path(server.data) / "postmaster.pid"
    for text in (f"{os.getpid()}\n", "", "x", "999999999"):
        lock.write_text(text)
        assert servers.running_pid(server) == 0
    assert servers.stop(server) is False
    lock.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_without_namespaces_runs_it_as_a_system_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(identity, "_namespaced", lambda: None)
    monkeypatch.setattr(identity, "SYSTEM_DATA", tmp_path)
    identity.server_identity.cache_clear()
    try:
        with server_home() as (home, server):
            owner = Path(server.data).stat().st_uid
            assert owner != 0
            assert Path(f"/proc/{servers.running_pid(server)}").stat().st_uid == owner
            open_store(home).close()
    finally:
        identity.server_identity.cache_clear()


def test_a_home_with_a_long_and_odd_name_will_do() -> None:
    above = Path(tempfile.mkdtemp())
    home = above / ("x" * 150) / 'it\'s a "home" % \\ \N{SNOWMAN}'
    home.mkdir(parents=True)
    server = servers.plan_server(home)
    try:
        servers.create_data(server, durable=False)
        write_choice(home, Choice(engine="postgres", server=server))
        open_store(home).close()
    finally:
        servers.stop(server)
        shutil.rmtree(above)


def test_programs_of_the_version_that_wrote_the_data_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = identity.server_identity()
    versions = {Path("/a"): 18, Path("/b"): 16, Path("/c"): 0}
    monkeypatch.setattr(binaries, "_folders", lambda: iter(versions))
    monkeypatch.setattr(binaries, "_version", lambda _, folder: versions[folder])
    assert binaries.find_binaries(mine).version == 18
    assert binaries.find_binaries(mine, 16).folder == Path("/b")
    with pytest.raises(UserError, match=r"version 12, which wrote the data, was found\n.*/a: version 18\n.*/b"):
        binaries.find_binaries(mine, 12)
    versions.clear()
    with pytest.raises(UserError, match=r"cwlbalsam\[postgres\]"):
        binaries.find_binaries(mine)


def test_the_home_of_the_tests_is_private(postgres_home: Path) -> None:
    choice = read_choice(postgres_home)
    assert choice.server is not None
    assert choice.server.listen == ""
