"""`cwlbalsam test`, with a runner of the tests' own."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cwlbalsam.cli.test import command


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    (tmp_path / "tool.cwl").touch()
    path = tmp_path / "suite.yaml"
    path.write_text(
        "- {id: right, tool: tool.cwl, output: {a: 1}, tags: [x]}\n- {id: wrong, tool: tool.cwl, output: {a: 2}}\n"
    )
    return path


def test_failures_are_shown_with_their_documents_and_end_in_exit_1(suite_file: Path, tmp_path: Path) -> None:
    tool = f"""{sys.executable} -c 'print("{{\\"a\\": 1}}")'"""
    results = tmp_path / "results.json"
    ended = CliRunner().invoke(command, [str(suite_file), "--tool", tool, "-j", "1", "--json", str(results)])
    assert ended.exit_code == 1, ended.output
    assert "FAILED 2 wrong" in ended.output
    assert "tool: tool.cwl" in ended.output
    assert "expected: 2" in ended.output
    assert "1 passed, 1 failed, 0 unsupported" in ended.output
    report = json.loads(results.read_bytes())
    assert {test["id"]: test["status"] for test in report["tests"]} == {"right": "passed", "wrong": "failed"}
    assert CliRunner().invoke(command, [str(suite_file), "--tool", tool, "-n", "right"]).exit_code == 0


def test_a_suite_can_be_listed(suite_file: Path) -> None:
    ended = CliRunner().invoke(command, [str(suite_file), "--list", "--tags", "x"])
    assert ended.exit_code == 0
    assert [line.split()[:2] for line in ended.output.splitlines()] == [["1", "right"]]
