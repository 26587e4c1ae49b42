import json
import subprocess
import sys
from pathlib import Path
from xml.dom.minidom import parseString

import pytest

from cwlbalsam.cli.main import run_cli

TOOL = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "true",
    "inputs": {"x": "int"},
    "outputs": {},
}
WORKFLOW = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}},
    "inputs": {"xs": "int[]"},
    "outputs": {},
    "steps": {"each": {"run": "tool.cwl", "scatter": "x", "in": {"x": "xs"}, "out": []}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool.cwl").write_text(json.dumps(TOOL))
    (tmp_path / "wf.cwl").write_text(json.dumps(WORKFLOW))
    (tmp_path / "in.json").write_text('{"xs": [1, 2, 3]}')
    return tmp_path


def plan(*options: str) -> int:
    return run_cli(["plan", "wf.cwl", "in.json", "--effort", "0s", *options])


def test_a_plan_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan() == 0
    printed = capsys.readouterr().out
    assert "each[2]" in printed
    assert "each x 3" in printed
    assert "node-hours   0." in printed
    assert "with a probability of 90%" in printed


def test_a_plan_as_json_and_svg(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan("--json", "--svg", "plan.svg") == 0
    printed = json.loads(capsys.readouterr().out)
    assert sorted(job["name"] for job in printed["jobs"]) == ["each[0]", "each[1]", "each[2]"]
    assert printed["seconds"] >= printed["at_least_seconds"] > 0
    assert len(parseString((folder / "plan.svg").read_text()).getElementsByTagName("rect")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sites", "moon"), "no site 'moon'"),
        (("--max-node-hours", "0"), "node-hours in all"),
        (("--deadline", "1s"), "more than the deadline allows (1 s)"),
        (("--least-node-hours",), "least node-hours need a deadline"),
    ],
)
def test_what_cannot_be_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert plan(*options) == 1
    assert message in capsys.readouterr().err


def test_a_run_follows_a_plan_and_later_plans_know_its_times(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", "--plan", "local", "--outdir", "out", "wf.cwl", "in.json"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[1].startswith("plan: ")
    assert told[1].endswith("expected; jobs: 3 at local")
    assert "taken (" in told[-1]
    assert plan("--json") == 0
    known = json.loads(capsys.readouterr().out)
    assert known["assumed"] == ["step 'each': times are learned from 3 jobs (3 at local)"]
    assert known["seconds"] < 5.0


def test_a_step_may_be_settled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sites.yml").write_text(
        '{"elsewhere": {"work": "/tmp/elsewhere", "scheduler": "local", "nodes": {"cores": 8}}}'
    )
    options = ("--sites-file", "sites.yml", "--sites", "local,elsewhere")
    assert plan("--json", *options) == 0
    assert json.loads(capsys.readouterr().out)["per_site"].keys() <= {"local", "elsewhere"}
    assert plan("--json", *options, "--site", "each=elsewhere") == 0
    assert json.loads(capsys.readouterr().out)["per_site"] == {"elsewhere": 3}


def test_a_run_without_a_plan_imports_nothing_of_planning(folder: Path) -> None:
    code = (
        "import sys; from cwlbalsam.cli.main import run_cli; run_cli(['run', '--quiet', 'wf.cwl', 'in.json']);"
        "print(*[name for name in sys.modules if name == 'numpy' or name.startswith(('cwlbalsam.planner.', "
        "'cwlbalsam.service.following', 'cwlbalsam.service.planning'))], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["cwlbalsam.planner.start_order"]


@pytest.mark.parametrize("option", ["--min-efficiency", "--max-node-hours"])
@pytest.mark.usefixtures("folder")
def test_what_is_no_number_is_no_limit(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(option, "nan") == 2
    assert "'nan' is not a number" in capsys.readouterr().err
