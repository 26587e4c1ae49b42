from pathlib import Path
from typing import Any

from benchmarks.outputs import contents, folder_contents, normalise

HELLO = "sha1$f572d396fae9206628714fb2ce00f72e94f2258f"


def test_places_do_not_count_but_names_sizes_and_contents_do(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one, other = tmp_path / "a" / "x.txt", tmp_path / "x.txt"
    one.write_text("hello\n")
    other.write_text("hello\n")
    told = {"class": "File", "location": one.as_uri(), "size": 6, "checksum": HELLO, "nameroot": "x"}
    silent = {"class": "File", "path": str(other), "basename": "x.txt"}
    assert normalise({"out": [told]}) == normalise({"out": [silent]})
    other.write_text("other\n")
    assert normalise({"out": [told]}) != normalise({"out": [silent]})


def test_a_directory_is_what_lies_in_it(tmp_path: Path) -> None:
    values: list[Any] = []
    for name in "pq":
        path = tmp_path / name / "parts"
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "f").write_text("hello\n")
        values.append({"class": "Directory", "location": path.as_uri(), "basename": "parts", "listing": []})
    assert normalise(values[0]) == normalise(values[1])
    assert contents(normalise(values)) == [HELLO, HELLO]


def test_a_folder_holds_what_an_output_object_tells_of(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("hello\n")
    (tmp_path / "2.txt").write_text("other\n")
    files = [{"class": "File", "path": str(tmp_path / name)} for name in ("2.txt", "1.txt")]
    assert contents(normalise({"out": files, "n": 1, "none": None})) == folder_contents(tmp_path)
