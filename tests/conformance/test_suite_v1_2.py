"""The official CWL v1.2 suite: without containers, with podman, and by cwltest's own command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cwlbalsam.service.suite import SuiteTest, load_suite
from tests.conformance.run_suite import BIN, not_passed, run_suite

pytestmark = pytest.mark.suite

NEED_A_CONTAINER = {
    "stdout_redirect_shortcut_docker",
    "stdout_redirect_mediumcut_docker",
    "initial_workdir_output",
    "filesarray_secondaryfiles",
    "dockeroutputdir",
    "docker_entrypoint",
    "stdin_shorcut",
    "networkaccess",
    "networkaccess_disabled",
    "glob_outside_outputs_fails",
    "iwd-passthrough2",
    "iwd-container-entryname1",
    "iwdr_dir_literal_real_file",
    "cwloutput_nolimit",
}
CWLTEST_STEP = 1 if os.environ.get("CWLBALSAM_WHOLE_SUITE") else 4
"""cwltest starts a process a test, which takes minutes for all: every so-manieth is enough to see the same results."""


def test_without_containers_everything_passes_that_does_not_require_one(suite: Path, tmp_path: Path) -> None:
    report = run_suite(suite, tmp_path / "results.json", "--no-container")
    assert not_passed(report) == NEED_A_CONTAINER
    assert {test["exit_code"] for test in report["tests"] if test["status"] != "passed"} == {33}


@pytest.mark.podman
@pytest.mark.usefixtures("podman", "outside_page")
def test_with_podman_everything_passes(suite: Path, tmp_path: Path) -> None:
    report = run_suite(suite, tmp_path / "results.json", "--podman")
    assert not_passed(report) == set()


def test_cwltest_sees_the_same_results(suite: Path, tmp_path: Path) -> None:
    tests = load_suite(suite)[::CWLTEST_STEP]
    # Not by `cwltest -n`: its report takes the words and tags of test i of the suite for the i-th that ran.
    sample = tmp_path / "sample.yaml"
    sample.write_text(json.dumps([as_entry(test) for test in tests], ensure_ascii=False), encoding="utf-8")
    xml = tmp_path / "junit.xml"
    command = [str(BIN / "cwltest"), "--test", str(sample), "--tool", str(BIN / "cwlbalsam-cwl-runner")]
    command += ["-j", "4", "--timeout", "120", "--junit-xml", str(xml), "--", "--no-container"]
    environment = os.environ | {"CWLBALSAM_HOME": str(tmp_path / "home")}
    ended = subprocess.run(command, check=False, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    print(ended.stderr, file=sys.stderr)
    cases = [*ElementTree.parse(xml).iter("testcase")]
    assert len(cases) == len(tests)
    wrong = {case.get("file") for case in cases if case.find("failure") is not None or case.find("skipped") is not None}
    assert wrong == NEED_A_CONTAINER & {test.id for test in tests}


def as_entry(test: SuiteTest) -> dict[str, Any]:
    path, mark, fragment = test.tool.partition("#")
    return {
        "id": test.id,
        "tool": Path(path).as_uri() + mark + fragment,
        **({"job": Path(test.job).as_uri()} if test.job else {}),
        "tags": list(test.tags),
        "should_fail": test.should_fail,
        "output": test.output,
    }
