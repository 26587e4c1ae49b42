import json
from pathlib import Path

from click.testing import CliRunner

from cwlbalsam.cli.simulate import command, plot
from cwlbalsam.errors import UserError

LINE = "{0} {0} -1 60 3 -1 -1 3 60 -1 1 1 1 -1 -1 -1 -1 -1\n"


def test_waits_and_utilisation_are_told_to_people_and_programs(tmp_path: Path) -> None:
    log = tmp_path / "log.swf"
    log.write_text("; MaxProcs: 4\n" + LINE.format(0) + LINE.format(10))
    result = CliRunner().invoke(command, ["--log", str(log)])
    assert result.exit_code == 0
    assert "2 jobs on 4 nodes, easy" in result.stdout
    assert "100% |" in result.stdout
    found = json.loads(CliRunner().invoke(command, ["--log", str(log), "--json"]).stdout)
    assert found["statistics"]["mean_wait_seconds"] == 25


def test_the_plot_is_as_high_as_the_share() -> None:
    assert plot([0, 0.5, 1]) == ["100% |  █", "     |  █", "     | ▄█", "     | ██", "  0% | ██"]


def test_a_document_is_compared_on_several_machines(tmp_path: Path) -> None:
    tool = tmp_path / "tool.cwl"
    tool.write_text("{cwlVersion: v1.2, class: CommandLineTool, inputs: [], outputs: [], baseCommand: 'true'}")
    arguments = [str(tool), "--machine", "a=:16", "--machine", "b=:8", "--instants", "1"]
    result = CliRunner().invoke(command, arguments, env={"CWLBALSAM_HOME": str(tmp_path)})
    assert result.exit_code == 0, result.output
    assert "on a (16 nodes), b (8 nodes)" in result.stdout
    assert "one large batch job at b" in result.stdout
    told = CliRunner().invoke(command, [*arguments, "--json"], env={"CWLBALSAM_HOME": str(tmp_path)})
    assert json.loads(told.stdout)["results"][0]["policy"] == "cwlbalsam"


def test_a_document_needs_machines_of_different_names(tmp_path: Path) -> None:
    for arguments in ([], ["--machine", "a=:8", "--machine", "a=:9"]):
        result = CliRunner().invoke(command, ["tool.cwl", *arguments])
        assert isinstance(result.exception, UserError)
