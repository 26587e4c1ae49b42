import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import ArrayType, Field, RecordType, SecondaryFile, ToolProcess
from cwlbalsam.cwl.values import path_of
from tests.cwl.jobs import (
    BOOLEAN,
    DIRECTORY,
    FILE,
    FILES,
    INT,
    STRING,
    bash,
    finish,
    needing,
    optional,
    output,
    run,
    start,
)


def failure(process: ToolProcess, tmp_path: Path, inputs: dict[str, Any] | None = None) -> str:
    ending, outputs, error = finish(start(process, inputs or {}, tmp_path))
    assert ending == "failed", outputs
    return error


def test_globs_match_sorted_without_hidden_files_and_through_folders(tmp_path: Path):
    process = bash(
        "mkdir d; touch d/b.txt d/a.txt .h.txt z.txt",
        outputs=(output("all", FILES, "*.txt", "d/*.txt"), output("none", FILES, "*.bam")),
    )
    outputs = run(process, {}, tmp_path)
    assert [file["basename"] for file in outputs["all"]] == ["z.txt", "a.txt", "b.txt"]
    assert outputs["none"] == []


def test_a_missing_output_says_what_was_looked_for_and_what_is_there(tmp_path: Path):
    error = failure(bash("touch other.txt", outputs=(output("o", FILE, "x*.txt"),)), tmp_path)
    assert "output 'o': nothing matches 'x*.txt'" in error
    assert "holds 'other.txt'" in error


def test_a_missing_optional_output_is_null_and_two_hits_for_one_file_are_a_mistake(tmp_path: Path):
    assert run(bash("true", outputs=(output("o", optional(FILE), "x"),)), {}, tmp_path / "a") == {"o": None}
    assert "2 match: 'a', 'b'" in failure(bash("touch a b", outputs=(output("o", FILE, "?"),)), tmp_path / "b")


@pytest.mark.parametrize("pattern", ["../*", "/etc/passwd", "a/../../x", "/etc/*"])
def test_globs_do_not_leave_the_output_directory(tmp_path: Path, pattern: str):
    assert "out of the output directory" in failure(bash("true", outputs=(output("o", FILES, pattern),)), tmp_path)


@pytest.mark.parametrize("script", ["ln -s /etc/hostname o", "ln -s /etc d; ln -s d/hostname o", "ln -s o o"])
def test_links_that_lead_elsewhere_are_refused(tmp_path: Path, script: str):
    error = failure(bash(script, outputs=(output("o", FILE, "o"),)), tmp_path)
    assert "/job/o" in error


def test_links_inside_an_output_directory_are_checked_too(tmp_path: Path):
    error = failure(bash("mkdir -p d/e; ln -s /etc/passwd d/e/x", outputs=(output("o", DIRECTORY, "d"),)), tmp_path)
    assert "d/e/x" in error and "/etc/passwd" in error


def test_cwl_output_json_cannot_name_foreign_files_but_its_own(tmp_path: Path):
    script = """echo '{"o": {"class": "File", "path": "/etc/passwd"}}' > cwl.output.json"""
    assert "/etc/passwd is neither" in failure(bash(script, outputs=(Field(name="o", type=FILE),)), tmp_path / "1")
    script = """echo x > 'a b'; echo '{"o": {"class": "File", "location": "a%20b"}, "more": 1}' > cwl.output.json"""
    outputs = run(bash(script, outputs=(Field(name="o", type=FILE),)), {}, tmp_path / "2")
    assert set(outputs) == {"o"}
    assert outputs["o"]["basename"] == "a b"
    assert outputs["o"]["size"] == 2


def test_links_and_copies_of_inputs_map_back(tmp_path: Path):
    (tmp_path / "in.txt").write_text("x")
    location = (tmp_path / "in.txt").as_uri()
    process = bash(
        "ln -s $0 linked; ln -s $(readlink -f $0) resolved; ln -s linked twice; cp $0 copied",
        inputs=(Field(name="f", type=FILE),),
        outputs=tuple(output(name, FILE, name) for name in ("linked", "resolved", "twice", "copied")),
        arguments=(compile_template("$(inputs.f.path)"),),
    )
    outputs = run(process, {"f": {"class": "File", "location": location}}, tmp_path / "run")
    assert [outputs[name]["location"] for name in ("linked", "resolved", "twice")] == [location] * 3
    assert outputs["linked"]["basename"] == "linked"
    assert path_of(outputs["copied"]) == str(tmp_path / "run" / "job" / "copied")


def test_output_eval_sees_files_contents_and_the_exit_code(tmp_path: Path):
    process = bash(
        "echo 41 > n",
        outputs=(
            output("n", INT, "n", load_contents=True, output_eval="$(parseInt(self[0].contents) + 1)"),
            output("code", INT, output_eval="$(runtime.exitCode)"),
            output("no", BOOLEAN, output_eval="$(false)"),
        ),
        requirements=needing(),
    )
    assert run(process, {}, tmp_path) == {"n": 42, "code": 0, "no": False}


def test_a_wrong_type_is_told_with_its_path(tmp_path: Path):
    process = bash(
        "true", outputs=(output("n", ArrayType(items=INT), output_eval="$([1, 'x'])"),), requirements=needing()
    )
    assert "outputs.n[1]: expected int, got string 'x'" in failure(process, tmp_path)


def test_secondary_files_and_formats_are_added(tmp_path: Path):
    process = bash(
        "touch a.bam a.bai",
        outputs=(
            output(
                "o",
                FILE,
                "a.bam",
                format=(compile_template("edam:$(self.nameroot)"),),
                secondary_files=(
                    SecondaryFile(pattern="^.bai", required=True),
                    SecondaryFile(pattern=".idx", required=False),
                ),
            ),
        ),
    )
    file = run(process, {}, tmp_path)["o"]
    assert [member["basename"] for member in file["secondaryFiles"]] == ["a.bai"]
    assert file["format"] == "edam:a"


def test_a_required_secondary_file_that_is_missing_is_named(tmp_path: Path):
    pattern = SecondaryFile(pattern=".idx", required=compile_template("$(true)"))
    process = bash("touch a", outputs=(output("o", FILE, "a", secondary_files=(pattern,)),), requirements=needing())
    assert "'a.idx' of 'a' is missing" in failure(process, tmp_path)


def test_records_are_collected_field_by_field(tmp_path: Path):
    record = RecordType(fields=(output("a", FILE, "a"), output("name", STRING, output_eval="x")))
    outputs = run(bash("touch a", outputs=(Field(name="r", type=record),)), {}, tmp_path)
    assert outputs["r"]["a"]["basename"] == "a"
    assert outputs["r"]["name"] == "x"


def test_a_broken_cwl_output_json_is_told(tmp_path: Path):
    assert "is not JSON" in failure(bash("echo '{' > cwl.output.json"), tmp_path / "1")
    assert "must hold an object" in failure(bash("echo '[]' > cwl.output.json"), tmp_path / "2")


def test_hostile_values_of_cwl_output_json_fail_the_job_and_not_the_worker(tmp_path: Path):
    kinds: list[Any] = [
        {"class": "File", "location": 3},
        {"class": "File", "path": ["x"]},
        {"class": "File", "basename": "../../x", "contents": "x"},
        {"class": "File", "basename": "x", "path": "a", "secondaryFiles": "x"},
        {"class": "Directory", "listing": [1]},
        {"class": "Directory", "listing": [{"class": "File", "basename": 3, "contents": "x"}]},
        {"class": "File", "contents": 3},
        {"class": "File"},
        {"class": "File", "path": "a", "secondaryFiles": [{"class": "File", "path": "../../etc/passwd"}]},
    ]
    for index, value in enumerate(kinds):
        text = json.dumps({"o": value})
        process = bash(f"echo x > a; cat > cwl.output.json <<'END'\n{text}\nEND", outputs=(Field(name="o", type=FILE),))
        failure(process, tmp_path / str(index))
    deep = "[" * 5000 + "]" * 5000
    process = bash(f"echo '{deep}' > cwl.output.json", outputs=(Field(name="o", type=FILE),))
    failure(process, tmp_path / "deep")
