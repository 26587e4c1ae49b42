from pathlib import Path
from typing import Any

from cwlbalsam.cwl.packed import pack, unpack
from cwlbalsam.cwl.relocation import relocate
from cwlbalsam.cwl.values import path_of, uri_of


def made(tmp_path: Path, name: str, text: str = "x") -> dict[str, Any]:
    path = tmp_path / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"class": "File", "location": uri_of(str(path)), "basename": path.name}


def moved(outputs: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return unpack(relocate(pack(outputs), str(tmp_path / "out"), str(tmp_path / "run")))


def names(tmp_path: Path) -> list[str]:
    out = tmp_path / "out"
    return sorted(str(path.relative_to(out)) for path in out.rglob("*"))


def test_files_of_the_run_move_and_files_of_the_user_are_copied(tmp_path: Path):
    (tmp_path / "user.txt").write_text("user")
    user = {"class": "File", "location": uri_of(str(tmp_path / "user.txt")), "basename": "user.txt"}
    outputs = moved({"made": made(tmp_path, "a.txt"), "user": user}, tmp_path)
    assert names(tmp_path) == ["a.txt", "user.txt"]
    assert not (tmp_path / "run" / "a.txt").exists()
    assert (tmp_path / "user.txt").read_text() == "user"
    assert outputs["user"]["location"] == uri_of(str(tmp_path / "out" / "user.txt"))
    assert outputs["user"]["size"] == 4
    assert outputs["user"]["checksum"].startswith("sha1$")


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


def test_links_do_not_survive_in_what_the_user_gets(tmp_path: Path):
    (tmp_path / "user.txt").write_text("user")
    made(tmp_path, "d/x")
    (tmp_path / "run" / "d" / "l").symlink_to(tmp_path / "user.txt")
    moved({"d": {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d"))}}, tmp_path)
    assert not (tmp_path / "out" / "d" / "l").is_symlink()
    assert (tmp_path / "out" / "d" / "l").read_text() == "user"


def test_a_second_run_replaces_files_and_adds_to_directories(tmp_path: Path):
    directory = {"class": "Directory", "location": uri_of(str(tmp_path / "run" / "d"))}
    made(tmp_path, "d/old")
    moved({"f": made(tmp_path, "f", "1"), "d": dict(directory)}, tmp_path)
    made(tmp_path, "d/new")
    moved({"f": made(tmp_path, "f", "2"), "d": dict(directory)}, tmp_path)
    assert names(tmp_path) == ["d", "d/new", "d/old", "f"]
    assert (tmp_path / "out" / "f").read_text() == "2"
