"""Paths of files at sites, and back, with a mover that only remembers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.places import HERE, location_at
from cwlbalsam.errors import JobError
from cwlbalsam.executor.wanted import TransferFailed, Wanted, expected_replica
from cwlbalsam.executor.whereabouts import StagingArea, Whereabouts
from cwlbalsam.jobs.replicas import Catalogue, Replica
from cwlbalsam.sites.transfers.base import Endpoint, Trouble


class Remembering:
    """Brings nothing."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []

    async def bring(self, wanted: Sequence[Wanted]) -> list[Replica]:
        self.asked += wanted
        return [expected_replica(one) for one in wanted]


@pytest.fixture
def files(tmp_path: Path) -> Whereabouts:
    mover: Any = Remembering()
    areas = {
        HERE: StagingArea(Endpoint(site="local", root=str(tmp_path), local=True), f"{tmp_path}/run"),
        "a": StagingArea(Endpoint(site="a", root="/work/a"), "/work/a/runs/r"),
        "b": StagingArea(Endpoint(site="b", root="/work/b"), "/work/b/runs/r"),
    }
    return Whereabouts(areas, Catalogue(), mover)


def a_file(location: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def a_folder(location: str, **more: Any) -> dict[str, Any]:
    return {"class": "Directory", "location": location, **more}


def translated(files: Whereabouts, place: str, value: Any, private: str = "") -> dict[str, Wanted]:
    wanted: dict[str, Wanted] = {}
    files.translate(place, value, wanted, private)
    return wanted


def test_what_a_site_has_made_is_not_wanted_there(files: Whereabouts) -> None:
    value = a_file("site://a/work/a/runs/r/jobs/0/1/out%20put")
    assert not translated(files, "a", value)
    assert value["location"] == "file:///work/a/runs/r/jobs/0/1/out%20put"
    files.translate_back("a", value)
    assert value["location"] == "site://a/work/a/runs/r/jobs/0/1/out%20put"


def test_a_copy_that_is_handed_on_is_known_as_its_original(files: Whereabouts) -> None:
    value = a_file("site://a/x/y", secondaryFiles=[a_file("site://a/x/y.idx"), a_folder("site://b/z")])
    wanted = translated(files, "b", value)
    assert sorted(wanted) == ["site://a/x/y", "site://a/x/y.idx"]
    assert value["secondaryFiles"][1]["location"] == "file:///z"
    assert all(one.path.startswith("/work/b/runs/r/in/") for one in wanted.values())
    files.translate_back("b", value)
    assert [value["location"], *(each["location"] for each in value["secondaryFiles"])] == [
        "site://a/x/y",
        "site://a/x/y.idx",
        "site://b/z",
    ]


def test_what_lies_in_a_directory_that_is_there_is_not_sent_again(files: Whereabouts) -> None:
    folder = a_folder("site://a/x/tree", listing=[a_file("site://a/x/tree/leaf")])
    assert list(translated(files, "b", folder)) == ["site://a/x/tree"]
    assert folder["listing"][0]["location"] == folder["location"] + "/leaf"
    leaf = a_file("site://a/x/tree/leaf")
    assert not translated(files, "b", leaf)
    assert leaf["location"] == folder["location"] + "/leaf"
    files.translate_back("b", leaf)
    assert leaf["location"] == "site://a/x/tree/leaf"


def test_users_files_are_kept_for_later_runs_until_they_change(files: Whereabouts, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("one")
    first = translated(files, "a", a_file(data.as_uri(), checksum="sha1$what-a-user-may-write"))
    again = translated(files, "a", a_file(data.as_uri()))
    assert first.keys() == again.keys()
    (wanted,) = first.values()
    assert wanted.path.startswith("/work/a/inputs/")
    assert wanted.checksum == ""
    data.write_text("other")
    assert translated(files, "a", a_file(data.as_uri())).keys() != first.keys()


def test_what_the_run_has_made_here_is_the_runs_alone(files: Whereabouts, tmp_path: Path) -> None:
    made = a_file((tmp_path / "run" / "jobs" / "0" / "1" / "out").as_uri(), size=3, checksum="sha1$abc")
    (wanted,) = translated(files, "a", made).values()
    assert wanted.path.startswith("/work/a/runs/r/in/")
    assert (wanted.size, wanted.checksum) == (3, "sha1$abc")


def test_what_will_be_written_to_is_a_copy_of_the_jobs_own(files: Whereabouts) -> None:
    value = a_file("site://a/x")
    other = a_file("site://a/x")
    assert translated(files, "b", value, "7.1").keys() != translated(files, "b", other).keys()
    assert value["location"] != other["location"]
    files.translate_back("b", value)
    assert value["location"].startswith("site://b/work/b/runs/r/in/")


def test_literals_and_addresses_stay_as_they_are(files: Whereabouts) -> None:
    value = [{"class": "File", "contents": "x"}, a_file("https://example.org/x"), {"class": "Directory", "listing": []}]
    before = [dict(each) for each in value]
    assert not translated(files, "a", value)
    assert value == before


def test_a_site_that_the_run_does_not_know_is_told(files: Whereabouts) -> None:
    with pytest.raises(JobError, match="does not know a site 'c'"):
        translated(files, "a", a_file("site://c/x"))


def test_sizes_tell_where_most_is(files: Whereabouts) -> None:
    values = [a_file("site://a/x", size=5), a_file("site://b/y", size=7), [a_file("site://a/z", size=4)]]
    assert files.sizes(values) == {"a": 9, "b": 7}
    asyncio.run(files.bring([]))


def test_what_is_gone_at_a_site_has_the_name_that_the_run_knows(files: Whereabouts) -> None:
    (wanted,) = translated(files, "b", a_file("site://a/work/a/runs/r/jobs/0/1/x")).values()
    found = files.locations_back("b", [location_at(HERE, wanted.path), "file:///work/b/runs/r/jobs/0/2/y"])
    assert found == ("site://a/work/a/runs/r/jobs/0/1/x", "site://b/work/b/runs/r/jobs/0/2/y")


def test_all_that_no_site_has_is_told_at_once(tmp_path: Path) -> None:
    class Failing(Remembering):
        async def bring(self, wanted: Sequence[Wanted]) -> list[Any]:
            troubles = (Trouble.MISSING, Trouble.CUT, Trouble.MISSING)
            return [TransferFailed(one, trouble, "no") for one, trouble in zip(wanted, troubles, strict=True)]

    mover: Any = Failing()
    areas = {place: StagingArea(Endpoint(site=place or "local", root="/"), f"/{place}") for place in (HERE, "a", "b")}
    files = Whereabouts(areas, Catalogue(), mover)
    wanted = translated(files, "b", [a_file(f"site://a/a/jobs/0/{number}/x") for number in range(3)])
    with pytest.raises(TransferFailed, match="cannot be brought to site b: no") as raised:
        asyncio.run(files.bring(list(wanted.values())))
    assert raised.value.missing == ("site://a/a/jobs/0/0/x", "site://a/a/jobs/0/2/x")


def test_no_site_names_what_lies_beside_a_folder_that_came_from_it(files: Whereabouts, tmp_path: Path) -> None:
    values = [
        a_folder("site://a/d"),
        a_file("site://a/d/x"),
        a_file("site://a/d/../../etc/secret"),
        a_file("site://a/.."),
    ]
    translated(files, HERE, values)
    folder, inside, *outside = (Path(value["location"].removeprefix("file://")) for value in values)
    assert inside == folder / "x"
    for path in outside:
        assert ".." not in path.parts
        assert path.parent.parent == tmp_path / "run" / "in"


def test_no_site_names_what_lies_beside_a_file_that_went_there(files: Whereabouts, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    value = a_file(f"file://{tmp_path}/mine")
    translated(files, "a", value)
    there = value["location"]
    claimed = a_file(f"{there}/../secret")
    files.translate_back("a", claimed)
    assert claimed["location"].startswith("site://a/work/a/")
    assert ".." not in claimed["location"]
    assert files.locations_back("a", [f"{there}/../../x"])[0].startswith("site://a/work/a/")
