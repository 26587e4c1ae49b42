from pathlib import Path
from typing import Any

from cwlbalsam.cwl import copying
from cwlbalsam.cwl.packed import pack, unpack
from cwlbalsam.cwl.relocation import Ownership, relocate
from cwlbalsam.cwl.values import path_of, uri_of


def made(tmp_path: Path, name: str, text: str = "x") -> dict[str, Any]:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"class": "File", "location": uri_of(str(path)), "basename": path.name}


def moved(
    outputs: dict[str, Any], tmp_path: Path, *, copy: bool = False, lent: tuple[str, ...] = (), kept: Any = None
) -> dict[str, Any]:
    ownership = Ownership("" if copy else str(tmp_path / "run"), lent)
    return unpack(relocate(pack(outputs), str(tmp_path / "out"), ownership, kept=kept))


def users(path: Path, text: str = "user") -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"class": "File", "location": uri_of(str(path)), "basename": path.name}


def is_linked(path: Path, source: Path) -> bool:
    """By a symbolic link, or by a reflink where the file system can."""
    return path.resolve() == source if path.is_symlink() else can_reflink(path.parent) and path.is_file()


def can_reflink(folder: Path) -> bool:
    (folder / "one").write_text("1")
    copying.link_file(str(folder / "one"), str(folder / "two"))
    linked = not (folder / "two").is_symlink()
    (folder / "one").unlink()
    (folder / "two").unlink()
    return linked


def names(tmp_path: Path) -> list[str]:
    out = tmp_path / "out"
    return sorted(str(path.relative_to(out)) for path in out.rglob("*"))


def test_files_of_the_run_move_and_files_of_the_user_are_linked(tmp_path: Path) -> None:
    user = users(tmp_path / "user.txt")
    outputs = moved({"made": made(tmp_path, "a.txt"), "user": user}, tmp_path)
    assert names(tmp_path) == ["a.txt", "user.txt"]
    assert not (tmp_path / "run" / "a.txt").exists()
    assert is_linked(tmp_path / "out" / "user.txt", tmp_path / "user.txt")
    assert outputs["user"]["location"] == uri_of(str(tmp_path / "out" / "user.txt"))
    assert outputs["user"]["size"] == 4
    assert outputs["user"]["checksum"].startswith("sha1$")


def test_nothing_is_linked_if_copies_are_wanted_not_even_where_an_earlier_run_has_left_a_link(tmp_path: Path) -> None:
    for copy in (False, True):
        moved({"user": users(tmp_path / "user.txt")}, tmp_path, copy=copy)
    assert not (tmp_path / "out" / "user.txt").is_symlink()
    assert (tmp_path / "out" / "user.txt").read_text() == (tmp_path / "user.txt").read_text() == "user"


def test_what_lies_in_a_folder_that_is_lent_is_copied(tmp_path: Path) -> None:
    moved({"user": users(tmp_path / "reuse" / "a")}, tmp_path, lent=(str(tmp_path / "reuse"),))
    assert not (tmp_path / "out" / "a").is_symlink()
    assert (tmp_path / "reuse" / "a").exists()


def test_of_the_users_directory_the_files_are_linked_so_that_nobody_writes_into_it(tmp_path: Path) -> None:
    users(tmp_path / "mine" / "d" / "x")
    directory = {"class": "Directory", "location": uri_of(str(tmp_path / "mine" / "d")), "basename": "d"}
    moved({"d": dict(directory)}, tmp_path)
    assert not (tmp_path / "out" / "d").is_symlink()
    assert is_linked(tmp_path / "out" / "d" / "x", tmp_path / "mine" / "d" / "x")
    made(tmp_path, "d/x", "made")
    moved({"d": {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d")), "basename": "d"}}, tmp_path)
    assert (tmp_path / "out" / "d" / "x").read_text() == "made"
    assert (tmp_path / "mine" / "d" / "x").read_text() == "user"


def test_an_earlier_runs_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    user = users(tmp_path / "x")
    moved({"o": dict(user)}, tmp_path)
    moved({"o": made(tmp_path, "x", "made")}, tmp_path, kept=[user])
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "out" / "x").read_text() == "made"
    assert (tmp_path / "x").read_text() == "user"


def test_a_link_that_the_user_has_named_is_not_replaced(tmp_path: Path) -> None:
    users(tmp_path / "data" / "x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").symlink_to(tmp_path / "data" / "x")
    named = {"class": "File", "location": uri_of(str(tmp_path / "out" / "x")), "basename": "x"}
    outputs = moved({"made": made(tmp_path, "x", "made")}, tmp_path, kept=[named])
    assert outputs["made"]["basename"] == "x_2"
    outputs = moved({"same": dict(named)}, tmp_path, kept=[named], copy=True)
    assert outputs["same"]["location"] == named["location"]
    assert (tmp_path / "out" / "x").is_symlink()


def test_names_that_collide_are_numbered_together_with_their_secondary_files(tmp_path: Path):
    first = {**made(tmp_path, "1/a.bam", "1"), "secondaryFiles": [made(tmp_path, "1/a.bam.bai")]}
    second = {**made(tmp_path, "2/a.bam", "2"), "secondaryFiles": [made(tmp_path, "2/a.bam.bai")]}
    outputs = moved({"o": [first, second]}, tmp_path)
    assert names(tmp_path) == ["a.bam", "a.bam.bai", "a_2.bam", "a_2.bam.bai"]
    assert Path(path_of(outputs["o"][1])).read_text() == "2"
    assert outputs["o"][1]["basename"] == "a_2.bam"


def test_one_file_for_two_outputs_stays_one_file(tmp_path: Path):
    outputs = moved({"a": made(tmp_path, "x"), "b": made(tmp_path, "x")}, tmp_path)
    assert names(tmp_path) == ["x"]
    assert outputs["a"] == outputs["b"]


def test_one_file_under_two_names_and_a_file_in_a_directory_that_moves_are_copied(tmp_path: Path):
    inside = made(tmp_path, "d/x", "inside")
    directory = {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d")), "basename": "d"}
    outputs = moved({"x": inside, "d": directory, "y": {**inside, "basename": "y"}}, tmp_path)
    assert names(tmp_path) == ["d", "d/x", "x", "y"]
    assert [entry["basename"] for entry in outputs["d"]["listing"]] == ["x"]
    assert outputs["d"]["listing"][0]["size"] == 6


def test_literals_are_written_and_directory_literals_made(tmp_path: Path):
    literal = {"class": "File", "basename": "l.txt", "contents": "hello"}
    directory = {"class": "Directory", "basename": "d", "listing": [literal, made(tmp_path, "x")]}
    outputs = moved({"d": directory}, tmp_path)
    assert names(tmp_path) == ["d", "d/l.txt", "d/x"]
    assert "contents" not in outputs["d"]["listing"][0]
    assert outputs["d"]["location"] == uri_of(str(tmp_path / "out" / "d"))


def test_a_directory_moves_with_its_links_to_the_users_files(tmp_path: Path) -> None:
    users(tmp_path / "user.txt")
    made(tmp_path, "d/x")
    (tmp_path / "run" / "d" / "l").symlink_to(tmp_path / "user.txt")
    moved({"d": {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d"))}}, tmp_path)
    assert not (tmp_path / "run" / "d").exists()
    assert (tmp_path / "out" / "d" / "l").resolve() == tmp_path / "user.txt"


def test_links_to_what_will_be_gone_do_not_survive_in_what_the_user_gets(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    made(tmp_path, "other.txt", "other")
    for name, target in (("l", "run/other.txt"), ("reused", "reuse/y"), ("d", "mine")):
        made(tmp_path, f"{name}/x")
        users(tmp_path / "reuse" / "y")
        (tmp_path / "run" / name / "link").symlink_to(tmp_path / target)
        directory = {"class": "Directory", "location": uri_of(str(tmp_path / "run" / name))}
        moved({"d": directory}, tmp_path, lent=(str(tmp_path / "reuse"),))
        assert (tmp_path / "out" / name / "link").exists()
        assert not (tmp_path / "out" / name / "link").is_symlink()


def test_a_second_run_replaces_files_and_adds_to_directories(tmp_path: Path):
    directory = {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d"))}
    made(tmp_path, "d/old")
    moved({"f": made(tmp_path, "f", "1"), "d": dict(directory)}, tmp_path)
    made(tmp_path, "d/new")
    moved({"f": made(tmp_path, "f", "2"), "d": dict(directory)}, tmp_path)
    assert names(tmp_path) == ["d", "d/new", "d/old", "f"]
    assert (tmp_path / "out" / "f").read_text() == "2"
