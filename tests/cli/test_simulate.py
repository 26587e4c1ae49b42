import json
from pathlib import Path

from click.testing import CliRunner

from cwlbalsam.cli.simulate import command, plot

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
