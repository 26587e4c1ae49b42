import json
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner, Result

from cwlbalsam.cli.deps import command as deps
from cwlbalsam.cli.graph import command as graph
from cwlbalsam.cli.make_template import command as make_template
from cwlbalsam.cli.pack import command as pack
from cwlbalsam.cli.run import command as run
from cwlbalsam.cli.validate import command as validate
from cwlbalsam.errors import UserError

TOOL = """
cwlVersion: v1.0
class: CommandLineTool
inputs:
  file: {type: File, default: {class: File, location: data.txt}, inputBinding: {}}
baseCommand: [echo, "😀"]
outputs: {out: stdout}
"""
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
inputs: {file: File}
steps:
  step: {run: tool.cwl, in: {file: file}, out: [out]}
outputs:
  out: {type: File, outputSource: step/out}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    Path("tool.cwl").write_text(TOOL)
    Path("wf.cwl").write_text(WORKFLOW)
    Path("bad.cwl").write_text(WORKFLOW.replace("step/out", "stepp/out"))
    Path("data.txt").touch()
    return tmp_path


def invoke(command: Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_validate_tells_what_is_wrong_with_which_document() -> None:
    result = invoke(validate, "wf.cwl", "bad.cwl")
    assert (result.exit_code, result.stdout) == (1, "wf.cwl is valid CWL.\n")
    assert "bad.cwl:8:" in result.stderr
    report = json.loads(invoke(validate, "--json", "wf.cwl", "bad.cwl").stdout)
    assert [entry["valid"] for entry in report] == [True, False]
    assert set(report[1]["problems"][0]) == {"place", "message", "hint"}


def test_a_packed_document_is_valid_and_keeps_its_texts() -> None:
    assert invoke(pack, "wf.cwl", "-o", "packed.cwl").exit_code == 0
    assert len(json.loads(Path("packed.cwl").read_text())["$graph"]) == 2
    assert "😀" in Path("packed.cwl").read_text()
    assert invoke(validate, "packed.cwl").exit_code == 0


def test_deps_lists_documents_and_files_relative_to_the_document(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = json.loads(invoke(deps, "wf.cwl").stdout)
    assert [file["location"] for file in listing["secondaryFiles"]] == ["tool.cwl"]
    assert [file["location"] for file in listing["secondaryFiles"][0]["secondaryFiles"]] == ["data.txt"]
    (workplace / "below").mkdir()
    monkeypatch.chdir("below")
    assert json.loads(invoke(deps, "--relative-deps", "cwd", "../wf.cwl").stdout)["location"] == "../wf.cwl"


def test_deps_lists_what_a_job_file_names() -> None:
    Path("job.yml").write_text("file: {class: File, path: data.txt}")
    listing = json.loads(invoke(deps, "wf.cwl", "job.yml").stdout)
    assert [file["location"] for file in listing["secondaryFiles"]] == ["data.txt"]


def test_graph_is_dot_or_by_the_name_of_its_file_svg() -> None:
    assert invoke(graph, "wf.cwl").stdout.startswith("digraph")
    assert invoke(graph, "wf.cwl", "-o", "wf.svg").exit_code == 0
    assert "<svg" in Path("wf.svg").read_text()


def test_make_template_prints_yaml() -> None:
    assert invoke(make_template, "wf.cwl").stdout == "file:  # File\n  class: File\n  path: a/file/path\n"


@pytest.mark.parametrize("command", [run, validate, graph, pack, deps, make_template])
def test_help_has_examples(command: Command) -> None:
    assert f"  cwlbalsam {command.name} " in invoke(command, "--help").stdout


@pytest.mark.parametrize("name", ["wf.png", "wf.PDF"])
def test_a_graph_is_not_written_to_a_file_whose_name_promises_another_form(name: str) -> None:
    result = invoke(graph, "wf.cwl", "-o", name)
    assert isinstance(result.exception, UserError)
    assert f"dot -T{name[3:].lower()}" in result.exception.problems[0].hint
    assert not Path(name).exists()


def test_validate_takes_a_job_file_behind_a_document_for_its_inputs() -> None:
    Path("in.yml").write_text("file: {class: File, path: nope}")
    result = invoke(validate, "wf.cwl", "in.yml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "in.yml:1:21: input 'file.path': no such file: nope" in result.stderr
    Path("in.yml").write_text("file: {class: File, path: data.txt}")
    assert invoke(validate, "wf.cwl", "in.yml").stdout == "wf.cwl is valid CWL.\n"


def test_what_would_be_hidden_in_a_packed_document_is_doubtful_and_not_packed() -> None:
    Path("same.cwl").write_text(WORKFLOW.replace("  step:", "  out:").replace("step/out", "out/out"))
    checked = invoke(validate, "same.cwl")
    assert (checked.exit_code, checked.stderr.count("step 'out' has the name of an output of the workflow")) == (0, 1)
    packed = invoke(pack, "same.cwl")
    assert isinstance(packed.exception, UserError)
    assert packed.exception.problems[0].message.startswith("cannot be packed: step 'out' has the name")
