from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import ArrayType, Field, SecondaryFile
from cwlbalsam.cwl.values import path_of, path_of_uri, uri_of
from cwlbalsam.errors import JobError
from tests.cwl.jobs import ANY, DIRECTORY, FILE, FILES, STRING, bash, needing, output, run, start, tool


def file(path: Path, text: str = "x", **more: Any) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"class": "File", "location": uri_of(str(path)), **more}


def seen(process: Any, inputs: dict[str, Any], tmp_path: Path, expression: str, **more: Any) -> Any:
    """What an expression of the tool evaluates to once its inputs are staged."""
    process = tool(
        inputs=process,
        outputs=(output("seen", ANY, output_eval=expression),),
        base_command=("true",),
        requirements=needing(),
    )
    return run(process, inputs, tmp_path / "run", **more)["seen"]


@pytest.mark.parametrize("name", ["a b.txt", "a#b.txt", "100%.txt", "what?.txt", "ä:[x].txt", "a&b;c'd\".txt"])
def test_any_file_name_works_and_survives_its_uri(tmp_path: Path, name: str):
    value = file(tmp_path / "data" / name)
    assert path_of_uri(value["location"]) == str(tmp_path / "data" / name)
    process = bash(
        'cat "$0" > out',
        inputs=(Field(name="f", type=FILE),),
        outputs=(output("o", FILE, "out"), output("name", STRING, output_eval="$(inputs.f.basename)")),
        arguments=(compile_template("$(inputs.f.path)"),),
    )
    outputs = run(process, {"f": value}, tmp_path / "run", top=True)
    assert Path(path_of(outputs["o"])).read_text() == "x"
    assert outputs["name"] == name


def test_files_of_one_name_go_to_different_folders_and_secondary_files_beside_their_primary(tmp_path: Path):
    one = file(tmp_path / "1" / "a.bam", secondaryFiles=[file(tmp_path / "i" / "a.bai")])
    two = file(tmp_path / "2" / "a.bam")
    paths = seen(
        (Field(name="fs", type=FILES),),
        {"fs": [one, two]},
        tmp_path,
        "$([inputs.fs[0].path, inputs.fs[0].secondaryFiles[0].path, inputs.fs[1].path])",
    )
    assert len({Path(path).resolve() for path in paths}) == 3
    assert Path(paths[0]).parent == Path(paths[1]).parent != Path(paths[2]).parent
    assert [Path(path).name for path in paths] == ["a.bam", "a.bai", "a.bam"]


def test_a_file_can_get_another_name_for_a_job(tmp_path: Path):
    fields = (Field(name="f", type=FILE),)
    found = seen(
        fields,
        {"f": file(tmp_path / "a.txt", basename="b.tar.gz")},
        tmp_path,
        "$(inputs.f.path + inputs.f.nameroot + inputs.f.nameext)",
    )
    assert found.endswith(".in/b.tar.gzb.tar.gz")


def test_literals_are_written_and_directory_literals_made(tmp_path: Path):
    listing = [{"class": "File", "basename": "x.txt", "contents": "hé"}, file(tmp_path / "y.txt", "real")]
    process = bash(
        'cat "$0"/x.txt "$0"/y.txt > out',
        inputs=(Field(name="d", type=DIRECTORY),),
        outputs=(output("o", FILE, "out"),),
        arguments=(compile_template("$(inputs.d.path)"),),
    )
    outputs = run(process, {"d": {"class": "Directory", "basename": "d", "listing": listing}}, tmp_path / "run")
    assert Path(path_of(outputs["o"])).read_text() == "héreal"


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "x\0y"])
def test_basenames_that_are_no_file_names_are_refused(tmp_path: Path, name: str):
    value = {"class": "File", "basename": name, "contents": "x"}
    with pytest.raises(JobError, match="is not a file name"):
        start(tool(inputs=(Field(name="f", type=FILE),), base_command=("true",)), {"f": value}, tmp_path)


def test_secondary_files_are_found_beside_the_users_file_and_missed_if_required(tmp_path: Path):
    value = file(tmp_path / "a.fa", secondaryFiles=[])
    file(tmp_path / "a.fa.fai")
    file(tmp_path / "a.dict")
    patterns = (
        SecondaryFile(pattern=".fai"),
        SecondaryFile(pattern="^.dict"),
        SecondaryFile(pattern=compile_template("$(self.nameroot).gzi"), required=False),
    )
    field = Field(name="f", type=ArrayType(items=FILE), secondary_files=patterns)
    names = seen(
        (field,),
        {"f": [value]},
        tmp_path,
        "$(inputs.f[0].secondaryFiles.map(function(f) {return f.basename}))",
        top=True,
    )
    assert names == ["a.fa.fai", "a.dict"]
    (tmp_path / "a.dict").unlink()
    with pytest.raises(JobError, match=r"inputs.f\[0\]: required secondary file 'a.dict' is missing"):
        start(tool(inputs=(field,), base_command=("true",)), {"f": [value]}, tmp_path / "2", top=True)


def test_contents_are_limited_as_the_version_says(tmp_path: Path):
    value = file(tmp_path / "big", "é" * 40000)
    field = Field(name="f", type=FILE, load_contents=True)
    with pytest.raises(JobError, match="larger than 65536"):
        start(tool(inputs=(field,), base_command=("true",)), {"f": value}, tmp_path)
    process = tool(
        inputs=(field,),
        base_command=("echo",),
        version="v1.0",
        arguments=(compile_template("$(inputs.f.contents.length)"),),
        requirements=needing(),
    )
    command = start(process, {"f": value}, tmp_path / "2").command
    assert command is not None and command.argv == ["echo", "32768"]


def test_a_job_without_files_makes_no_folder_for_them(tmp_path: Path):
    run(tool(base_command=("true",)), {}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "tmp"]


def test_an_input_that_is_gone_is_told_before_its_command_starts(tmp_path: Path):
    value = file(tmp_path / "data" / "x.txt", size=1)
    (tmp_path / "data" / "x.txt").unlink()
    process = bash(
        'cat "$0" | sort > out',
        inputs=(Field(name="f", type=FILE),),
        outputs=(output("o", FILE, "out"),),
        arguments=(compile_template("$(inputs.f.path)"),),
    )
    with pytest.raises(JobError, match="is not there any more"):
        run(process, {"f": value}, tmp_path / "run")
