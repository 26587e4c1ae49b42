"""Killed servers, cut connections, full disks: never a wrong file, and right ones in the end."""

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cwlbalsam.sites.transfers import carry as carrying
from cwlbalsam.sites.transfers.base import Batch, Load, Progress, Result, Trouble, WebRoot
from tests.sites.transfers.conftest import Sites, Workplace
from tests.sites.transfers.test_carrying import Disturbed, sha1

pytestmark = pytest.mark.servers
Make = Callable[[tuple[str, str, str]], Workplace]
LARGE = 1 << 29
BY_SSH = (("scp", "home", "b"), ("scp", "a", "home"), ("rsync", "home", "b"), ("tar", "home", "b"), ("tar", "a", "b"))
BY_SERVER = (*BY_SSH, ("gridftp", "a", "b"), ("gridftp", "home", "b"))


@pytest.fixture(scope="module")
def large(sites: Sites) -> Iterator[tuple[Path, str]]:
    """A file without holes, which takes a while to send, and its checksum."""
    path = sites.top / "large"
    block = os.urandom(1 << 20)
    digest = hashlib.sha1()
    with path.open("wb") as file:
        for number in range(LARGE >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            digest.update(piece)
    yield path, f"sha1${digest.hexdigest()}"
    path.unlink()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(carrying, "SLOWEST_POLL_SECONDS", 0.05)


def kill_sessions(sites: Sites, place: Workplace) -> None:
    servers = sites.gridftp if place.protocol == "gridftp" else sites.sshd
    for end in (place.source.site, place.target.site):
        for pid in servers[end].sessions() if end in servers else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def interrupt(place: Workplace, strike: Callable[[], None], **more: Any) -> Result:
    """Carry the large file, and strike when some of it has arrived."""
    struck = []

    def watch(progress: Progress) -> None:
        if not struck and 0 < progress.size_bytes < LARGE and not progress.ended:
            struck.append(progress.size_bytes)
            strike()

    batch = place.batch(place.item("large", size=LARGE))
    result: Result = place._run(carrying.carry(place.carrier, batch, watch, **more))[0]
    assert struck, "it was over before anything could happen"
    return result


@pytest.mark.parametrize("route", BY_SERVER, ids="-".join)
def test_a_cut_connection_leaves_nothing_under_the_final_name_and_the_next_attempt_succeeds(
    sites: Sites, workplace: Make, large: tuple[Path, str], route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    os.link(large[0], place.out / "large")
    result = interrupt(place, lambda: kill_sessions(sites, place))
    assert result.trouble in (Trouble.CUT, Trouble.UNREACHABLE), result.message
    assert not place.into.exists()
    again = place.carry(place.item("large", checksum=large[1]), resume=True)[0]
    assert (again.trouble, again.message) == (Trouble.NONE, "")
    assert place.left_over() == []


@pytest.mark.parametrize("route", (("scp", "home", "b"), ("rsync", "home", "b"), ("gridftp", "a", "b")), ids="-".join)
def test_a_server_that_dies_is_unreachable_until_it_is_back(
    sites: Sites, workplace: Make, large: tuple[Path, str], route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    os.link(large[0], place.out / "large")
    server = (sites.gridftp if place.protocol == "gridftp" else sites.sshd)["b"]
    result = interrupt(place, server.kill)
    assert result.trouble in (Trouble.CUT, Trouble.UNREACHABLE), result.message
    down = place.carry(place.item("large"), resume=True)[0]
    assert (down.trouble, down.arrived) == (Trouble.UNREACHABLE, False), down.message
    assert not place.into.exists()
    server.start()
    again = place.carry(place.item("large", checksum=large[1]), resume=True)[0]
    assert (again.trouble, again.message) == (Trouble.NONE, "")


def test_rsync_goes_on_where_it_was_cut(sites: Sites, workplace: Make, large: tuple[Path, str]) -> None:
    place = workplace(("rsync", "home", "b"))
    os.link(large[0], place.out / "large")
    for name in ("first", "second"):
        (place.out / name).write_text(name)
    result = interrupt(place, lambda: kill_sessions(sites, place))
    assert not result.arrived
    assert [path.name for path in place.left_over() if path.parent.parent.name == place.name] != []
    assert place.carry(place.item("large", checksum=large[1]), resume=True)[0].arrived


@pytest.mark.parametrize("route", BY_SERVER, ids="-".join)
def test_a_cancelled_transfer_writes_no_more(
    workplace: Make, large: tuple[Path, str], route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    os.link(large[0], place.out / "large")

    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    with pytest.raises(Enough):
        interrupt(place, stop)
    place._run(carrying.clear(place.batch()))
    assert not place.into.exists()
    assert place.left_over() == []


@pytest.fixture
def small_disk(sites: Sites) -> Iterator[Path]:
    """A file system of 8 MiB."""
    path = sites.top / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield path
    subprocess.run(["umount", "-l", path], check=True)
    path.rmdir()


@pytest.mark.parametrize(
    "route", (*BY_SERVER[:1], *BY_SERVER[2:6], ("copy", "home", "there"), ("http", "a", "b")), ids="-".join
)
def test_a_full_disk_is_told_before_and_in_the_middle(
    workplace: Make, small_disk: Path, route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    place.target = msgspec.structs.replace(place.target, root=str(small_disk))
    place.into = small_disk / "into"
    (place.out / "large").write_bytes(os.urandom(9 << 20))
    result = place.carry(place.item("large"))[0]
    assert (result.trouble, "No space left" in result.message) == (Trouble.FULL, True)
    assert "bytes are to come" in result.message
    (place.out / "medium").write_bytes(os.urandom(5 << 20))

    def fill(load: Load) -> None:
        (small_disk / "filler").write_bytes(bytes(5 << 20))

    disturbed: Any = Disturbed(place.carrier, fill)
    result = place.carry(place.item("medium"), carrier=disturbed)[0]
    assert result.trouble is Trouble.FULL, result.message
    assert not place.into.exists()
    (small_disk / "filler").unlink()
    assert place.carry(place.item("medium"))[0].arrived


def test_a_download_goes_on_by_ranges(sites: Sites, workplace: Make) -> None:
    place = workplace(("http", "a", "home"))
    data = os.urandom(3_000_000)
    (place.out / "file").write_bytes(data)
    web = sites.web["a"]
    web.cut_after, web.cut, web.asked = 1_000_000, set(), []
    try:
        cut = place.carry(place.item("file"))[0]
        assert cut.trouble is Trouble.CUT
        assert not place.into.exists()
        assert place.carry(place.item("file", checksum=sha1(data)), resume=True)[0].arrived
        assert [wanted for _, _, wanted in web.asked] == ["", "bytes=1000000-"]
    finally:
        web.cut_after, web.cut = 0, set()


def test_a_download_starts_anew_if_the_file_is_another_one(sites: Sites, workplace: Make) -> None:
    place = workplace(("http", "a", "home"))
    (place.out / "file").write_bytes(b"1" * 300_000)
    web = sites.web["a"]
    web.cut_after, web.cut = 100_000, set()
    try:
        assert not place.carry(place.item("file"))[0].arrived
        (place.out / "file").write_bytes(b"2" * 300_000)
        assert place.carry(place.item("file"), resume=True)[0].arrived
        assert (place.into / "file").read_bytes() == b"2" * 300_000
    finally:
        web.cut_after, web.cut = 0, set()


@pytest.mark.parametrize("ranges", (True, False))
def test_what_a_web_server_damages_is_found(sites: Sites, workplace: Make, ranges: bool) -> None:
    place = workplace(("http", "a", "home"))
    data = b"data" * 1000
    (place.out / "file").write_bytes(data)
    sites.web["a"].damage, sites.web["a"].ranges = True, ranges
    try:
        result = place.carry(place.item("file", checksum=sha1(data)))[0]
        assert result.trouble is Trouble.CORRUPT
    finally:
        sites.web["a"].damage, sites.web["a"].ranges = False, True
    assert place.carry(place.item("file", checksum=sha1(data)))[0].arrived


def test_a_web_server_that_is_down_and_one_that_cannot_rename(sites: Sites, workplace: Make) -> None:
    place = workplace(("http", "a", "store"))
    (place.out / "file").write_text("data")
    sites.web["store"].down = True
    result = place.carry(place.item("file"))[0]
    assert result.trouble is Trouble.UNREACHABLE, result.message
    sites.web["store"].down, sites.web["store"].moves = False, False
    result = place.carry(place.item("file"))[0]
    assert (result.trouble, "405" in result.message) == (Trouble.UNFIT, True), result.message
    sites.web["store"].moves = True
    assert place.carry(place.item("file"))[0].arrived


def test_a_source_without_login_is_taken_as_it_is(sites: Sites, workplace: Make) -> None:
    place = workplace(("http", "a", "b"))
    (place.out / "file").write_text("data")
    web = WebRoot(url=sites.web["a"].url, base=place.source.root)
    place.source = msgspec.structs.replace(place.source, ssh=None, web=web)
    arrived, missing, folder = place.carry(
        place.item("file"), place.item("none"), place.item("folder", kind="directory")
    )
    assert (arrived.trouble, missing.trouble, folder.trouble) == (Trouble.NONE, Trouble.MISSING, Trouble.UNFIT)
    assert (place.into / "file").read_text() == "data"


def test_what_a_crash_has_left_is_swept(sites: Sites, workplace: Make) -> None:
    place = workplace(("scp", "home", "b"))
    stage = Path(carrying.stage_of(Batch(id="old", source=place.source, target=place.target, items=[])))
    stage.mkdir(parents=True)
    (stage / "0").touch()
    os.utime(stage.parent, (0, 0))
    os.utime(stage, (0, 0))
    fresh = Path(place.target.root, ".transfers/fresh/send")
    fresh.mkdir(parents=True)
    assert place._run(carrying.sweep(place.target, 3600)) == ["old"]
    assert (stage.exists(), fresh.exists()) == (False, True)
    fresh.rmdir()


def test_an_unknown_host_key_and_a_wrong_user_key_are_named(sites: Sites, workplace: Make, tmp_path: Path) -> None:
    place = workplace(("scp", "home", "b"))
    (place.out / "file").touch()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    ssh = place.target.ssh
    assert ssh is not None
    (tmp_path / "config").write_text(f"UserKnownHostsFile {tmp_path}/none\nStrictHostKeyChecking yes\n")
    for change in ({"identity": str(tmp_path / "key")}, {"config": str(tmp_path / "config")}):
        place.target = msgspec.structs.replace(place.target, ssh=msgspec.structs.replace(ssh, **change))
        result = place.carry(place.item("file"))[0]
        assert result.trouble is Trouble.LOGIN, result.message
