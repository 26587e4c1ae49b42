from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import Field, OperationProcess, Primitive, Program
from cwlbalsam.errors import DocumentError, UserError
from cwlbalsam.service.inputs import (
    InputSource,
    JobOrder,
    check_inputs,
    load_inputs,
    read_job_file,
    split_arguments,
    swap_tool,
)

ANY = Primitive(name="Any")


def load(folder: Path, text: str, *names: str, arguments: tuple[str, ...] = (), **options: Any) -> JobOrder:
    job = folder / "job.yml"
    job.write_text(text)
    fields = tuple(Field(name=name, type=ANY) for name in names)
    return load_inputs(fields, InputSource(file=str(job), arguments=arguments), base=folder, **options)


def problems(folder: Path, text: str, *names: str) -> str:
    with pytest.raises(DocumentError) as caught:
        load(folder, text, *names)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("written", ["path: 'a #1.txt'", "location: 'a%20%231.txt'", "location: 'a #1.txt'"])
def test_a_hash_in_a_file_name_is_part_of_the_name(tmp_path: Path, written: str) -> None:
    (tmp_path / "a #1.txt").touch()
    order = load(tmp_path, f"f: {{class: File, {written}}}", "f")
    assert order.values == {"f": {"class": "File", "location": f"{tmp_path.as_uri()}/a%20%231.txt"}}


def test_files_are_found_in_records_arrays_secondary_files_and_listings(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    file = "{class: File, path: x, secondaryFiles: [{class: File, path: x}]}"
    text = f"a: [{file}]\nr: {{deep: {{f: {file}}}}}\nd: {{class: Directory, basename: d, listing: [{file}]}}"
    values = load(tmp_path, text, "a", "r", "d").values
    made = {"class": "File", "location": (tmp_path / "x").as_uri()}
    made["secondaryFiles"] = [dict(made)]  # type: ignore[assignment]
    assert values["a"] == [made]
    assert values["r"] == {"deep": {"f": made}}
    assert values["d"]["listing"] == [made]


def test_all_files_that_are_missing_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    text = "a:\n  - class: File\n    path: no1\nb: {class: Directory, path: no2}\nc: {class: File, path: folder}"
    told = problems(tmp_path, text, "a", "b", "c")
    assert "job.yml:3:5: input 'a[0].path': no such file: no1\n    looked for no1" in told
    assert "job.yml:4:23: input 'b.path': no such directory: no2" in told
    assert "input 'c.path': folder is a directory, not a File" in told


def test_a_file_without_place_or_contents_is_refused(tmp_path: Path) -> None:
    assert "a File needs `path` or `location`, or `contents`" in problems(tmp_path, "f: {class: File}", "f")
    assert load(tmp_path, "f: {class: File, contents: x}", "f").values["f"] == {"class": "File", "contents": "x"}


def test_a_colon_in_a_location_must_be_escaped(tmp_path: Path) -> None:
    assert "write ':' as %3A" in problems(tmp_path, "f: {class: File, location: 'A:x'}", "f")
    location = "https://example.com/a b"
    assert load(tmp_path, f"f: {{class: File, location: '{location}'}}", "f").values["f"]["location"] == location


def test_what_is_on_the_disk_counts_not_a_listing_beside_a_location(tmp_path: Path) -> None:
    text = "d: {class: Directory, path: ., listing: [{class: File, path: nope}]}"
    assert "listing" not in load(tmp_path, text, "d").values["d"]


def test_formats_are_expanded_by_the_namespaces_of_job_file_and_document(tmp_path: Path) -> None:
    text = "$namespaces: {a: 'http://a/', b: 'http://b/'}\nx: {class: File, contents: '', format: 'a:1'}\n"
    text += "y: {class: File, contents: '', format: 'b:1'}\nz: {class: File, contents: '', format: 'http://c'}"
    values = load(tmp_path, text, "x", "y", "z", namespaces={"b": "http://document/"}).values
    assert [values[name]["format"] for name in "xyz"] == ["http://a/1", "http://document/1", "http://c"]


def test_an_unknown_input_is_a_warning_that_names_the_nearest(tmp_path: Path) -> None:
    order = load(tmp_path, "read: 1\nid: x\nsbg:x: 2", "reads")
    assert [str(warning).replace(f"{tmp_path}/", "") for warning in order.warnings] == [
        "job.yml:1:1: the document has no input 'read'; ignored\n    did you mean 'reads'?"
    ]
    assert order.values == {}


def test_arguments_come_after_the_job_file_and_win(tmp_path: Path) -> None:
    assert load(tmp_path, "a: 1\nb: 2", "a", "b", arguments=("--b", "3")).values == {"a": 1, "b": 3}
    assert split_arguments(["job.yml", "--b", "3"]) == InputSource(file="job.yml", arguments=("--b", "3"))
    assert split_arguments(["-"]) == InputSource(file="-")


def test_a_job_file_says_its_tool_requirements_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(
        "cwl:tool: tool.cwl#main\ncwl:requirements: {EnvVarRequirement: {envDef: {A: b}}}\n"
        "cwltool:overrides: {x.cwl: {requirements: []}}\na: 1"
    )
    job = read_job_file(str(tmp_path / "job.yml"), base=tmp_path)
    assert job.tool == f"{tmp_path.as_uri()}/tool.cwl#main"
    assert job.requirements == ({"class": "EnvVarRequirement", "envDef": {"A": "b"}},)
    assert job.values == {"a": 1}
    swapped = swap_tool(str(tmp_path / "job.yml"), InputSource(), base=tmp_path)
    assert swapped == (job.tool, InputSource(file=str(tmp_path / "job.yml")))


@pytest.mark.parametrize("text", ["", "[1, 2]", "word"])
def test_a_job_order_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.yml").write_text(text)
    with pytest.raises(UserError, match="not a mapping"):
        read_job_file(str(tmp_path / "job.yml"), base=tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("File", "a.txt", "expected File, got string 'a.txt'\n    write {class: File, path: 'a.txt'}"),
        ("Directory", {"class": "Fil"}, "expected Directory, got a record of class 'Fil'"),
    ],
)
def test_a_path_alone_is_no_file_and_the_way_to_write_one_is_told(name: Any, value: Any, message: str) -> None:
    inputs = (Field(name="a", type=Primitive(name=name)),)
    program = Program(uri="", main=0, processes=(OperationProcess(id="o", version="v1.2", inputs=inputs, outputs=()),))
    with pytest.raises(DocumentError) as caught:
        check_inputs(program, {"a": value})
    assert str(caught.value) == f"input 'a': {message}"
