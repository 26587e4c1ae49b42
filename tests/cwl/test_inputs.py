import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.formats import is_a
from cwlbalsam.cwl.records import Field, Program
from cwlbalsam.cwl.values import path_of, uri_of
from cwlbalsam.errors import JobError
from tests.cwl.jobs import DIRECTORY, FILE, STRING, needing, start, tool


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = self.path.startswith("/data")
            self.send_response(200 if found else 404)
            if self.path.endswith("/cut"):
                self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"remote" if found else b"")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


def bind(tmp_path: Path, value: Any, **field: Any) -> Any:
    process = tool(inputs=(Field(name="f", **{"type": FILE, **field}),))
    return start(process, {"f": value}, tmp_path, mode="bind", top=True).outputs["f"]


def test_remote_files_are_fetched_once_and_then_are_local(tmp_path: Path, server: tuple[str, list[str]]):
    url, asked = server
    value = {"class": "File", "location": f"{url}/data/a%20b.txt?version=2"}
    for _ in range(2):
        found = bind(tmp_path, value)
        assert found["basename"] == "a b.txt"
        assert Path(path_of(found)).read_text() == "remote"
        assert found["size"] == 6
    assert asked == ["/data/a%20b.txt?version=2"]
    with pytest.raises(JobError, match=r"cannot download .*404"):
        bind(tmp_path, {"class": "File", "location": f"{url}/no"})


def test_a_download_that_is_cut_leaves_no_file(tmp_path: Path, server: tuple[str, list[str]]):
    for _ in range(2):
        with pytest.raises(JobError, match="connection closed 4 bytes before the end"):
            bind(tmp_path, {"class": "File", "location": f"{server[0]}/data/cut"})


def test_binding_fills_in_names_and_sizes_and_leaves_no_paths(tmp_path: Path):
    (tmp_path / "a.tar.gz").write_text("xyz")
    location = uri_of(str(tmp_path / "a.tar.gz"))
    assert bind(tmp_path, {"class": "File", "path": str(tmp_path / "a.tar.gz")}) == {
        "class": "File",
        "location": location,
        "basename": "a.tar.gz",
        "nameroot": "a.tar",
        "nameext": ".gz",
        "size": 3,
    }


def test_listings_are_loaded_as_deep_as_asked_for(tmp_path: Path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "x").touch()
    value = {"class": "Directory", "location": uri_of(str(tmp_path / "d")) + "/"}
    shallow = bind(tmp_path, value, type=DIRECTORY, load_listing="shallow_listing")
    assert [entry["basename"] for entry in shallow["listing"]] == ["e"]
    assert "listing" not in shallow["listing"][0]
    deep = bind(tmp_path, value, type=DIRECTORY, load_listing="deep_listing")
    assert deep["listing"][0]["listing"][0]["basename"] == "x"
    assert "listing" not in bind(tmp_path, value, type=DIRECTORY)


@pytest.mark.parametrize("value", [{"class": "File"}, {"class": "File", "location": 3}, {"class": "File", "path": "a"}])
def test_files_that_name_nothing_are_refused(tmp_path: Path, value: Any):
    with pytest.raises(JobError):
        bind(tmp_path, value)


def test_formats_are_checked_by_parents_and_equivalents(tmp_path: Path):
    ontology = {"child": ("parent",), "parent": ("grand", "same"), "same": ("parent",)}
    assert is_a("child", ["grand"], ontology)
    assert is_a("same", ["parent"], ontology)
    assert not is_a("grand", ["child"], ontology)
    (tmp_path / "f").touch()
    process = tool(
        inputs=(
            Field(name="f", type=FILE, format=(compile_template("$(inputs.want)"),)),
            Field(name="want", type=STRING),
        ),
        requirements=needing(),
    )
    program = Program(uri="", main=0, processes=(process,), ontology=ontology)
    value = {"class": "File", "location": uri_of(str(tmp_path / "f")), "format": "child"}
    start(process, {"f": value, "want": "grand"}, tmp_path, program=program, mode="bind")
    with pytest.raises(JobError, match=r"inputs.f: 'f' has format child, expected other"):
        start(process, {"f": value, "want": "other"}, tmp_path, program=program, mode="bind")
    with pytest.raises(JobError, match="has no format, expected grand"):
        start(process, {"f": {**value, "format": None}, "want": "grand"}, tmp_path, program=program, mode="bind")
