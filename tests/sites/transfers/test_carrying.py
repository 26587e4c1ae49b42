"""What every protocol has to do, on real servers."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cwlbalsam.sites.transfers import CARRIERS, carriers_between
from cwlbalsam.sites.transfers.base import Batch, Carrier, Item, Load, Transfer, Trouble
from tests.sites.transfers.conftest import ROUTES, Sites, Workplace

pytestmark = pytest.mark.servers
Make = Callable[[tuple[str, str, str]], Workplace]
NAMES = (
    "plain.txt",
    "with space",
    " blanks around ",
    "new\nline",
    "'quoted' \"twice\"",
    "#hash",
    "$(touch oops)`touch oops`",
    "-rf",
    "--delete",
    "ünïcödé-文件",
    "a%41b%0a",
    "*?[x]{a,b}",
    "back\\slash\\n",
    "~",
    "semi;colon:host&|<>",
    "!bang!",
    "tab\tand\rreturn",
    "latin-\udce9",
    "x" * 255,
)
every_route = pytest.mark.parametrize("route", ROUTES, ids="-".join)
FOLDERS_TOO = tuple(route for route in ROUTES if route[2] not in ("store", "vault"))
every_route_for_folders = pytest.mark.parametrize("route", FOLDERS_TOO, ids="-".join)


def sha1(data: bytes) -> str:
    return f"sha1${hashlib.sha1(data).hexdigest()}"


@every_route
def test_odd_names_arrive_or_are_refused_one_by_one(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    for number, name in enumerate(NAMES):
        (place.out / name).write_bytes(f"{number}".encode() * 1000)
    (place.out / "empty").touch()
    results = place.carry(*(place.item(name) for name in (*NAMES, "empty")))
    refused = {result.item.source for result in results if result.trouble is Trouble.UNFIT}
    assert [result.message for result in results if not result.arrived and result.item.source not in refused] == []
    assert not refused or place.protocol == "globus"
    assert len(refused) <= 3
    for result in results:
        if result.arrived:
            assert Path(result.item.target).read_bytes() == Path(result.item.source).read_bytes()
            assert (result.files, result.size_bytes) == (1, Path(result.item.source).stat().st_size)
        else:
            assert not os.path.lexists(result.item.target)
    assert not (place.out / "oops").exists()
    assert place.left_over() == [] or refused or place.target.site == "vault"


@every_route
def test_what_arrives_replaces_what_was_there(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "file").write_text("new")
    place.into.mkdir()
    (place.into / "file").write_text("old and longer")
    assert place.carry(place.item("file"))[0].arrived
    assert (place.into / "file").read_text() == "new"


@every_route_for_folders
def test_mode_and_time_travel_along(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    file = place.out / "tool"
    file.write_text("#!/bin/sh")
    file.chmod(0o750)
    os.utime(file, (1_000_000_000, 1_234_567_890.125))
    assert place.carry(place.item("tool"))[0].arrived
    found = (place.into / "tool").stat()
    assert (found.st_mode & 0o777, found.st_mtime) == (0o750, 1_234_567_890.125)


@every_route_for_folders
def test_a_link_is_followed_and_stays_what_it_was(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "real").write_text("data")
    (place.out / "link").symlink_to("real")
    assert place.carry(place.item("link"))[0].arrived
    assert (place.into / "link").read_text() == "data"
    assert (place.out / "link").is_symlink()


@every_route_for_folders
def test_a_directory_travels_whole(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    tree = place.out / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "none").mkdir(mode=0o700)
    (tree / "deep" / "er" / "a file").write_text("a")
    (tree / "deep" / "b").write_text("b")
    (place.out / "outside").write_text("outside")
    (tree / "inner link").symlink_to("deep/b")
    (tree / "deep" / "up").symlink_to("../deep/er")
    (tree / "outer link").symlink_to("../outside")
    (tree / "dangling").symlink_to("/nowhere/at/all")
    place.into.mkdir()
    (place.into / "tree").mkdir()
    (place.into / "tree" / "old").touch()
    result = place.carry(place.item("tree", kind="directory"))[0]
    assert (result.trouble, result.message, result.files) == (Trouble.NONE, "", 3)
    arrived = place.into / "tree"
    assert sorted(str(path.relative_to(arrived)) for path in arrived.rglob("*")) == [
        *("deep", "deep/b", "deep/er", "deep/er/a file", "deep/up", "inner link", "none", "outer link")
    ]
    assert (arrived / "deep" / "er" / "a file").read_text() == "a"
    assert (arrived / "inner link").readlink() == Path("deep/b")
    assert (arrived / "outer link").read_text() == "outside"
    assert place.left_over() == []


@every_route
def test_what_is_missing_is_told_and_the_others_arrive(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "there").write_text("x")
    (place.out / "folder").mkdir()
    gone, there, folder = place.carry(place.item("gone"), place.item("there"), place.item("folder"))
    assert (gone.trouble, there.trouble) == (Trouble.MISSING, Trouble.NONE)
    assert str(place.out / "gone") in gone.message
    assert not folder.arrived
    assert sorted(path.name for path in place.into.iterdir()) == ["there"]


@every_route_for_folders
def test_a_wrong_checksum_is_found_and_nothing_gets_the_final_name(
    workplace: Make, route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    for name in ("good", "bad"):
        (place.out / name).write_bytes(name.encode() * 5000)
    good, bad = place.carry(
        place.item("good", checksum=sha1(b"good" * 5000)), place.item("bad", checksum=sha1(b"something else"))
    )
    assert (good.trouble, good.checksum) == (Trouble.NONE, sha1(b"good" * 5000))
    assert bad.trouble is Trouble.CORRUPT
    assert "checksum" in bad.message
    assert sorted(path.name for path in place.into.iterdir()) == ["good"]


@every_route
def test_a_source_of_another_size_is_not_the_wanted_one(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "file").write_text("1234")
    result = place.carry(place.item("file", size=5))[0]
    assert result.trouble is Trouble.CHANGED
    assert not place.into.exists()


class Disturbed:
    """A protocol that something happens to, after all is prepared and before it starts."""

    def __init__(self, carrier: Carrier, disturb: Callable[[Load], object]) -> None:
        self._carrier = carrier
        self._disturb = disturb

    def __getattr__(self, name: str) -> object:
        return getattr(self._carrier, name)

    async def start(self, load: Load) -> Transfer:
        self._disturb(load)
        return await self._carrier.start(load)


@every_route_for_folders
def test_a_source_that_changes_on_the_way_is_found_by_its_checksum_or_its_time(
    workplace: Make, route: tuple[str, str, str]
) -> None:
    place = workplace(route)
    (place.out / "file").write_bytes(b"1" * 10_000)
    (place.out / "checked").write_bytes(b"1" * 10_000)

    def change(load: Load) -> None:
        for name in ("file", "checked"):
            (place.out / name).write_bytes(b"2" * 10_000)

    disturbed = Disturbed(place.carrier, change)
    items = place.item("file"), place.item("checked", checksum=sha1(b"1" * 10_000))
    results = place.carry(*items, carrier=disturbed)  # type: ignore[arg-type]
    assert [result.trouble for result in results] == [Trouble.CHANGED, Trouble.CORRUPT]
    assert not place.into.exists() or list(place.into.iterdir()) == []


@every_route_for_folders
def test_a_source_that_is_cut_short_on_the_way_leaves_nothing(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "file").write_bytes(b"1" * 100_000)
    disturbed = Disturbed(place.carrier, lambda load: os.truncate(place.out / "file", 10))
    result = place.carry(place.item("file"), carrier=disturbed)[0]  # type: ignore[arg-type]
    assert not result.arrived
    assert not (place.into / "file").exists()


def test_links_are_refused_where_the_copy_will_be_written_to(workplace: Make) -> None:
    for protocol in ("hardlink", "symlink"):
        place = workplace((protocol, "home", "there"))
        (place.out / "file").touch()
        result = place.carry(place.item("file"), read_only=False)[0]
        assert result.trouble is Trouble.UNFIT
        assert not place.into.exists()


def test_a_clone_is_made_or_its_file_system_cannot(workplace: Make) -> None:
    place = workplace(("reflink", "home", "there"))
    (place.out / "file").write_text("data")
    result = place.carry(place.item("file"), read_only=False)[0]
    if result.arrived:
        (place.into / "file").write_text("other")
        assert (place.out / "file").read_text() == "data"
    else:
        assert (result.trouble, result.message) == (Trouble.UNFIT, os.strerror(errno.EOPNOTSUPP))


def test_a_file_that_may_not_be_read_is_told_and_the_others_arrive(sites: Sites, workplace: Make) -> None:
    place = workplace(("tar", "weak", "home"))
    (place.out / "secret").touch(mode=0)
    (place.out / "open").touch()
    (place.out / "folder").mkdir()
    (place.out / "folder" / "secret").touch(mode=0)
    items = place.item("secret"), place.item("open"), place.item("folder", kind="directory")
    results = place.carry(*items)
    assert [result.trouble for result in results] == [Trouble.DENIED, Trouble.NONE, Trouble.DENIED]
    assert "Permission denied" in results[0].message


def test_each_pair_of_sites_has_its_protocols(sites: Sites) -> None:
    ends = sites.endpoints
    between = lambda source, target: list(carriers_between(ends[source], ends[target]))  # noqa: E731
    assert between("home", "there") == ["reflink", "hardlink", "symlink", "copy", "tar"]
    assert between("home", "b") == ["scp", "rsync", "tar", "gridftp"]
    assert between("a", "b") == ["tar", "gridftp", "globus", "http"]
    assert between("store", "home") == ["http"]
    assert all(carrier.can(ends["store"], ends["vault"]) for carrier in CARRIERS.values())


def test_a_batch_without_a_way_is_told_so(sites: Sites, run: Callable[..., object]) -> None:
    from cwlbalsam.sites.transfers.carry import carry

    item = Item(source="/x", target="/y")
    batch = Batch(id="x", source=sites.endpoints["vault"], target=sites.endpoints["home"], items=[item])
    results = run(carry(CARRIERS["tar"], batch, lambda progress: None))
    assert [result.trouble for result in results] == [Trouble.UNFIT]  # type: ignore[attr-defined]
