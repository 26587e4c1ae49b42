import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cwlbalsam.cwl.checksums import SHARED_BYTES, Checksums
from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.pruning import prune
from cwlbalsam.cwl.records import (
    Binding,
    Dirent,
    Docker,
    EnumType,
    Field,
    Requirements,
    Resources,
    ToolProcess,
)
from tests.cwl.jobs import DIRECTORY, FILE, SETTINGS, STRING, finish, optional, output, start, tool

INPUTS = (Field(name="f", type=optional(FILE)), Field(name="word", type=optional(STRING)))
COPY = tool(
    inputs=INPUTS,
    outputs=(output("o", FILE, "out.txt"),),
    base_command=("cat",),
    arguments=(Binding(value_from=compile_template("$(inputs.f.path)")),),
    stdout="out.txt",
)


class Place:
    """A folder of results, and runs that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reuse = folder / "reuse"
        self.count = 0

    def run(self, process: ToolProcess = COPY, *, settings: Any = SETTINGS, **inputs: Any) -> tuple[bool, Any]:
        """Whether the result was taken over, and the outputs (or what went wrong)."""
        self.count += 1
        prepared = start(
            process,
            inputs,
            self.folder / f"run{self.count}",
            settings=replace(settings, reuse_folder=str(self.reuse)),
        )
        if prepared.ending is not None:
            assert prepared.taken is not None
            return True, prepared.outputs
        ending, outputs, error = finish(prepared)
        return False, outputs if ending == "done" else error

    def file(self, name: str = "in.txt", text: str = "one", folder: str = "data") -> dict[str, Any]:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return {"class": "File", "location": path.as_uri()}

    def entries(self) -> list[Path]:
        return sorted(self.reuse.glob("*/*.done"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def text_of(value: dict[str, Any]) -> str:
    return Path(value["location"].removeprefix("file://")).read_text()


def test_the_same_job_is_not_run_again_and_has_the_same_outputs(place: Place) -> None:
    first = place.run(f=place.file())
    again = place.run(f=place.file())
    assert (first[0], again[0]) == (False, True)
    assert first[1] == again[1]
    assert text_of(again[1]["o"]) == "one"


def test_inputs_count_by_name_and_content_not_by_place(place: Place) -> None:
    place.run(f=place.file())
    assert place.run(f=place.file(folder="elsewhere"))[0]
    assert not place.run(f=place.file(name="other.txt"))[0]
    value = place.file()
    times = (place.folder / "data/in.txt").stat()
    Path(value["location"].removeprefix("file://")).write_text("two")
    os.utime(place.folder / "data/in.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    reused, outputs = place.run(f=value)
    assert (reused, text_of(outputs["o"])) == (False, "two")


def test_a_wrong_checksum_that_a_user_gives_fools_nobody(place: Place) -> None:
    place.run(f=place.file() | {"checksum": "sha1$1"})
    reused, outputs = place.run(f=place.file(text="two") | {"checksum": "sha1$1"})
    assert (reused, text_of(outputs["o"])) == (False, "two")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"place": "a.cwl:3:1", "id": "other"}, True),
        ({"requirements": Requirements(resources=Resources(ram_min=300.0, place="x"))}, True),
        ({"requirements": Requirements(time_limit=60.0)}, True),
        ({"requirements": Requirements(env=(("A", "1"),))}, False),
        ({"requirements": Requirements(workdir=(Dirent(entry="text", entryname="x"),))}, False),
        ({"stdout": "out.tx", "outputs": (output("o", FILE, "out.tx"),)}, False),
        ({"success_codes": (0, 3)}, False),
        ({"inputs": (*INPUTS, Field(name="id", type=STRING, default="a"))}, False),
    ],
)
def test_only_what_changes_a_result_counts_of_a_tool(place: Place, change: dict[str, Any], same: bool) -> None:
    place.run(f=place.file())
    assert place.run(replace(COPY, **change), f=place.file())[0] is same


def test_resources_count_for_tools_that_read_them(place: Place) -> None:
    said = tool(
        outputs=(output("o", FILE, "out.txt"),),
        base_command=("echo",),
        arguments=(compile_template("$(runtime.ram)"),),
        stdout="out.txt",
    )
    place.run(said)
    assert place.run(said)[0]
    more = replace(said, requirements=Requirements(resources=Resources(ram_min=300.0)))
    reused, outputs = place.run(more)
    assert (reused, text_of(outputs["o"])) == (False, "300\n")


def test_surroundings_count(place: Place) -> None:
    place.run(f=place.file())
    assert not place.run(f=place.file(), settings=replace(SETTINGS, environment={"LANG": "C"}))[0]
    assert not place.run(f=place.file(), settings=replace(SETTINGS, path="/bin:/usr/bin"))[0]


def test_a_container_counts_only_if_there_is_one(place: Place) -> None:
    place.run(f=place.file())
    contained = replace(COPY, requirements=Requirements(docker=Docker(pull="debian")))
    assert place.run(contained, f=place.file())[0]
    engine = replace(SETTINGS, engine="podman", reuse_folder=str(place.reuse))
    assert start(contained, {"f": place.file()}, place.folder / "c", settings=engine).command is not None


@pytest.mark.parametrize("wish", [False, compile_template("$(inputs.word != 'x')")])
def test_work_reuse_may_forbid_it(place: Place, wish: Any) -> None:
    process = replace(COPY, requirements=Requirements(work_reuse=wish, javascript=True))
    assert [place.run(process, f=place.file(), word="x")[0] for _ in range(2)] == [False, False]
    assert place.entries() == []


def test_in_place_updates_and_secrets_are_never_kept(place: Place) -> None:
    for needs in (Requirements(inplace_update=True), Requirements(secrets=("word",))):
        process = replace(COPY, requirements=needs)
        assert not any(place.run(process, f=place.file(), word="hush")[0] for _ in range(2))
    assert place.entries() == []


def test_failed_jobs_leave_nothing(place: Place) -> None:
    failing = replace(COPY, base_command=("false",))
    assert [place.run(failing, f=place.file())[0] for _ in range(2)] == [False, False]
    assert place.entries() == []


def test_exit_codes_and_logs_of_then_are_told(place: Place) -> None:
    process = tool(base_command=("sh", "-c", "exit 3"), success_codes=(3,))
    place.run(process)
    prepared = start(process, {}, place.folder / "x", settings=replace(SETTINGS, reuse_folder=str(place.reuse)))
    assert prepared.taken is not None
    assert (prepared.taken.exit_code, prepared.taken.log) == (3, "")


@pytest.mark.parametrize("how", ["gone", "changed", "torn", "foreign"])
def test_a_result_that_is_no_longer_whole_is_dropped(place: Place, how: str) -> None:
    _, outputs = place.run(f=place.file())
    path = Path(outputs["o"]["location"].removeprefix("file://"))
    (entry,) = place.entries()
    if how == "gone":
        path.unlink()
    elif how == "changed":
        path.write_text("xxx")
    elif how == "torn":
        entry.write_bytes(entry.read_bytes()[:20])
    else:
        data = msgspec.msgpack.decode(entry.read_bytes())
        data["outputs"]["o"]["location"] = "own:/../../../../etc/passwd"
        entry.write_bytes(msgspec.msgpack.encode(data))
    reused, outputs = place.run(f=place.file())
    assert (reused, text_of(outputs["o"])) == (False, "one")
    assert place.run(f=place.file())[0]


def test_inputs_that_are_handed_on_are_those_of_this_time(place: Place) -> None:
    handing = tool(
        inputs=INPUTS,
        outputs=(output("o", FILE, output_eval="$(inputs.f)"),),
        base_command=("true",),
    )
    place.run(handing, f=place.file())
    moved = place.file(folder="elsewhere")
    (place.folder / "data/in.txt").unlink()
    reused, outputs = place.run(handing, f=moved)
    assert (reused, outputs["o"]["location"]) == (True, moved["location"])


def test_a_literal_that_is_handed_on_survives(place: Place) -> None:
    handing = tool(inputs=INPUTS, outputs=(output("o", FILE, output_eval="$(inputs.f)"),), base_command=("true",))
    literal = {"class": "File", "basename": "a", "contents": "text"}
    assert [place.run(handing, f=dict(literal))[0] for _ in range(2)] == [False, True]
    assert text_of(place.run(handing, f=dict(literal))[1]["o"]) == "text"


DIRECTORY_TOOL = tool(
    inputs=(Field(name="d", type=DIRECTORY),),
    outputs=(output("o", DIRECTORY, "out"), output("count", FILE, "n")),
    base_command=("sh", "-c", 'mkdir -p out/sub; ls -R "$0" > n; echo x > out/sub/x; ln -s sub/x out/link'),
    arguments=(compile_template("$(inputs.d.path)"),),
)


def test_directories_count_with_all_they_hold(place: Place) -> None:
    place.file("a.txt")
    (place.folder / "data/loop").symlink_to(".")
    value = {"class": "Directory", "location": (place.folder / "data").as_uri()}
    assert [place.run(DIRECTORY_TOOL, d=dict(value))[0] for _ in range(2)] == [False, True]
    (place.folder / "data/more").mkdir()
    reused, outputs = place.run(DIRECTORY_TOOL, d=dict(value))
    assert not reused
    made = Path(outputs["o"]["location"].removeprefix("file://"))
    assert place.run(DIRECTORY_TOOL, d=dict(value))[0]
    (made / "sub/extra").touch()
    assert not place.run(DIRECTORY_TOOL, d=dict(value))[0]


def test_a_file_that_only_an_expression_names_keeps_the_result_from_being_kept(place: Place) -> None:
    hidden = place.file("hidden.txt")["location"].removeprefix("file://")
    item = compile_template("${return [{class: 'File', location: inputs.word}];}")
    process = replace(
        COPY,
        base_command=("cat", "hidden.txt"),
        arguments=(),
        requirements=Requirements(javascript=True, workdir=item),
    )
    assert place.run(process, word=hidden)[0] is False
    place.file("hidden.txt", "two")
    reused, outputs = place.run(process, word=hidden)
    assert (reused, text_of(outputs["o"])) == (False, "two")


def test_an_input_that_changes_while_the_job_runs_keeps_the_result_from_being_kept(place: Place) -> None:
    value = place.file()
    path = value["location"].removeprefix("file://")
    process = replace(COPY, base_command=("sh", "-c", f"echo more >> {path}; cat {path}"))
    place.run(process, f=value)
    assert place.entries() == []


def test_of_two_jobs_at_once_each_has_a_result_of_its_own(place: Place) -> None:
    settings = replace(SETTINGS, reuse_folder=str(place.reuse))
    both = [start(COPY, {"f": place.file()}, place.folder / name, settings=settings) for name in "ab"]
    results = [finish(prepared)[1]["o"] for prepared in both]
    assert results[0]["location"] != results[1]["location"]
    assert [text_of(result) for result in results] == ["one", "one"]
    assert len(place.entries()) == 1
    assert place.run(f=place.file())[1]["o"] in results


def test_a_checksum_of_a_large_file_is_computed_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * SHARED_BYTES)
    first = Checksums(str(tmp_path / "sums"), "/nowhere/").of(str(path))
    with monkeypatch.context() as patch:
        patch.setattr("cwlbalsam.cwl.checksums.checksum_of", lambda _: pytest.fail("computed again"))
        assert Checksums(str(tmp_path / "sums"), "/nowhere/").of(str(path)) == first
    path.write_bytes(b"y" * SHARED_BYTES)
    assert Checksums(str(tmp_path / "sums"), "/nowhere/").of(str(path)) != first


def test_prune_removes_what_is_old_and_leaves_what_was_used(place: Place) -> None:
    place.run(f=place.file())
    place.run(f=place.file(text="two"))
    crashed = place.entries()[0].parent / (place.entries()[0].stem + "-12345678")
    crashed.mkdir()
    old = time.time() - 1000
    for path in (*place.reuse.glob("*/*"), crashed):
        os.utime(path, (old, old), follow_symlinks=False)
    assert place.run(f=place.file())[0]  # sets its time
    assert prune(str(place.reuse), time.time() - 100) == 1
    assert not crashed.exists()
    assert place.run(f=place.file())[0]
    assert not place.run(f=place.file(text="two"))[0]


def test_enumerations_and_records_can_be_described(place: Place) -> None:
    process = replace(COPY, inputs=(*INPUTS, Field(name="e", type=EnumType(symbols=("a", "b")))))
    assert [place.run(process, f=place.file(), e="a")[0] for _ in range(2)] == [False, True]
    assert not place.run(process, f=place.file(), e="b")[0]


def test_nothing_is_kept_without_a_folder(place: Place) -> None:
    prepared = start(COPY, {"f": place.file()}, place.folder / "r")
    assert finish(prepared)[0] == "done"
    assert prepared.taken is None
    assert not place.reuse.exists()
