import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cwlbalsam.cli.cwl_runner import main
from cwlbalsam.cli.run import command as run
from cwlbalsam.cli.run_options import ALL, make_options
from cwlbalsam.service.options import RunOptions

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
doc: Says a word.
inputs:
  word: {type: string, inputBinding: {}, doc: The word.}
  times: {type: int?}
baseCommand: echo
stdout: said.txt
outputs:
  said: stdout
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    (tmp_path / "tool.cwl").write_text(TOOL)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(run, list(arguments))


def options(*arguments: str) -> RunOptions:
    with run.make_context("run", [*arguments, "doc"]) as context:
        return make_options(context.params)


def test_every_option_of_cwltool_is_known() -> None:
    from cwltool.argparser import arg_parser

    ours = {name for option in ALL for name in (*option.opts, *option.secondary_opts)}
    theirs = {name for action in arg_parser()._actions for name in action.option_strings}
    assert (
        theirs - ours - {"-h", "--help", "--version", "--generate-help-preview", "--print-supported-versions"} == set()
    )


@pytest.mark.parametrize(
    ("arguments", "engine"),
    [
        ([], "auto"),
        (["--podman"], "podman"),
        (["--singularity"], "singularity"),
        (["--udocker"], "udocker"),
        (["--docker"], "docker"),
        (["--no-container"], "none"),
        (["--user-space-docker-cmd", "/opt/udocker"], "udocker"),
    ],
)
def test_the_engine_is_chosen_by_flags(arguments: list[str], engine: str) -> None:
    assert options(*arguments).engine == engine


def test_options_are_as_documented() -> None:
    plain = options()
    assert plain == RunOptions(directory=str(Path.cwd()))
    given = options(
        "--leave-tmpdir", "--no-compute-checksum", "--copy-outputs", "-t", "a", "--target", "b", "--non-strict"
    )
    assert (given.keep, given.compute_checksum, given.outputs, given.targets, given.strict) == (
        True,
        False,
        "copy",
        ("a", "b"),
        False,
    )


def test_help_after_the_document_lists_its_inputs() -> None:
    result = invoke("tool.cwl", "--help")
    assert result.exit_code == 0
    assert "  --times int?\n  --word string (required)\n      The word.\n" in result.stdout


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--validate", "tool.cwl is valid CWL.\n"),
        ("--print-dot", "digraph workflow {"),
        ("--make-template", "# The word.\nword: a_string  # string\n"),
        ("--pack", '"class": "CommandLineTool"'),
        ("--print-deps", '"location": "tool.cwl"'),
    ],
)
def test_something_else_is_done_instead_of_a_run(option: str, expected: str) -> None:
    result = invoke(option, "tool.cwl")
    assert (result.exit_code, expected in result.stdout) == (0, True)


def test_validate_checks_inputs_too() -> None:
    result = invoke("--validate", "tool.cwl", "--times", "1")
    assert result.exit_code == 1
    assert "input 'word' is required but has no value" in result.stderr


def test_two_things_instead_of_a_run_exclude_each_other() -> None:
    assert "--validate and --pack exclude each other" in invoke("--validate", "--pack", "tool.cwl").stderr


def test_options_are_not_guessed() -> None:
    assert invoke("--valid", "tool.cwl").exit_code == 2


def test_a_tool_runs_and_its_output_object_is_all_on_stdout(
    workplace: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["--outdir", "out", "tool.cwl", "--word", "hellö"]) == 0
    told = capfdbinary.readouterr()
    assert json.loads(told.out)["said"]["location"] == (workplace / "out" / "said.txt").as_uri()
    assert (workplace / "out" / "said.txt").read_text() == "hellö\n"
    assert b"finished" in told.err


def test_a_failing_tool_gives_exit_code_1(workplace: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (workplace / "bad.cwl").write_text(TOOL.replace("echo", "ls"))
    assert main(["--quiet", "bad.cwl", "--word", "/nowhere/at/all"]) == 1
    told = capfdbinary.readouterr()
    assert b"/nowhere/at/all" in told.err
    assert json.loads(told.out or b"null") in (None, {}, {"said": None})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tool.cwl", "--wort", "x"], 1, "did you mean '--word'?"),
        (["missing.cwl"], 1, "no such document: missing.cwl"),
        (["tool.cwl", "missing.yml"], 1, "no such file: missing.yml"),
        (["--provenance", "x", "tool.cwl"], 33, "--provenance is not supported"),
        (["--no-container", "docker.cwl", "--word", "x"], 33, "requires a container"),
    ],
)
def test_mistakes_are_told_in_one_line_without_output(
    workplace: Path, arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (workplace / "docker.cwl").write_text(f"{TOOL}requirements: {{DockerRequirement: {{dockerPull: x}}}}\n")
    assert main(arguments) == code
    told = capfd.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_the_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("cwlbalsam-cwl-runner 0.")


def test_a_single_step_runs_alone(workplace: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (workplace / "wf.cwl").write_text(
        """
cwlVersion: v1.2
class: Workflow
inputs: {word: string, unused: string}
steps:
  say: {run: tool.cwl, in: {word: word}, out: [said]}
  broken: {run: missing-command.cwl, in: {word: unused}, out: [said]}
outputs:
  said: {type: File, outputSource: say/said}
  never: {type: File, outputSource: broken/said}
"""
    )
    (workplace / "missing-command.cwl").write_text(TOOL.replace("echo", "no-such-command"))
    assert main(["--single-step", "say", "wf.cwl", "--word", "alone"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["said"]["size"] == 6
    assert main(["--target", "said", "wf.cwl", "--word", "again!"]) == 0
    assert set(json.loads(capfdbinary.readouterr().out)) == {"said"}


def test_outputs_go_to_no_address(workplace: Path) -> None:
    before = set(workplace.iterdir())
    result = invoke("--outdir", "s3://bucket/out", "tool.cwl", "--word", "x")
    assert result.exit_code == 2
    assert "'s3://bucket/out' is an address" in result.output
    assert set(workplace.iterdir()) == before
