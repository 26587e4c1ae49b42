"""Many files, large folders, large files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sites.transfers.conftest import Sites, Workplace

pytestmark = pytest.mark.servers
Make = Callable[[tuple[str, str, str]], Workplace]
PLAIN = (("copy", "home", "there"), ("http", "a", "home"), ("globus", "a", "b"))
REMOTE = (("scp", "home", "b"), ("rsync", "a", "home"), ("tar", "a", "b"), ("gridftp", "a", "b"), *PLAIN)
every_protocol = pytest.mark.parametrize("route", (("hardlink", "home", "there"), *REMOTE), ids="-".join)
COUNT, MEMBERS = 10_000, 5_000


@every_protocol
def test_ten_thousand_small_files_arrive_in_one_batch(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    for number in range(COUNT):
        (place.out / f"{number} file").write_bytes(b"%d\n" % number * (number % 7))
    results = place.carry(*(place.item(f"{number} file") for number in range(COUNT)))
    assert {(result.trouble, result.message) for result in results} == {("", "")}
    assert sum(result.size_bytes for result in results) == sum(path.stat().st_size for path in place.into.iterdir())
    for number in range(COUNT):
        assert (place.into / f"{number} file").read_bytes() == b"%d\n" % number * (number % 7)


@every_protocol
def test_a_directory_of_five_thousand_files_arrives_as_one(workplace: Make, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    (place.out / "d").mkdir()
    for number in range(MEMBERS):
        (place.out / "d" / f"{number}").write_bytes(b"%d" % number)
    (result,) = place.carry(place.item("d", kind="directory"))
    assert (result.message, result.files) == ("", MEMBERS)
    found = {path.name: path.read_bytes() for path in (place.into / "d").iterdir()}
    assert found == {str(number): b"%d" % number for number in range(MEMBERS)}


@pytest.fixture(scope="module")
def large(sites: Sites) -> Iterator[Path]:
    """4 GiB and a byte, most of it a hole, with something at its ends, its middle and around 2 and 4 GiB."""
    path = sites.top / "large"
    with path.open("wb") as file:
        for at in (0, 1 << 30, (2 << 30) - 4, (4 << 30) - 7):
            file.seek(at)
            file.write(b"mark %d" % at if at < 4 << 30 else b"the end.")
    os.truncate(path, (4 << 30) + 1)
    yield path
    path.unlink()


@pytest.mark.parametrize("route", [route for route in REMOTE if route[0] != "globus"], ids="-".join)
def test_four_gibibytes_arrive(workplace: Make, large: Path, route: tuple[str, str, str]) -> None:
    place = workplace(route)
    os.link(large, place.out / "large")
    (result,) = place.carry(place.item("large"))
    assert (result.message, result.size_bytes) == ("", (4 << 30) + 1)
    with large.open("rb") as expected, (place.into / "large").open("rb") as found:
        for at in (0, 1 << 30, (2 << 30) - 4096, (4 << 30) - 4096):
            expected.seek(at)
            found.seek(at)
            assert found.read(8192) == expected.read(8192)
    assert any(progress.size_bytes for progress in place.seen)
