"""CWL v1.0, v1.1 and v1.3.0-dev1: their official lists of tests, on documents derived from the v1.2 suite."""

from pathlib import Path

import pytest

from tests.conformance.derive import derive
from tests.conformance.run_suite import not_passed, run_suite

pytestmark = pytest.mark.suite

LEFT_OUT = {
    "v1.0": {"68_vf-concat", "99_docker-array-secondaryfiles"},
    "v1.1": {"199_stdin_shorcut"},
    "v1.3.0-dev1": set[str](),
}
NEED_A_CONTAINER = {
    "v1.0": {
        "8_cat3-tool-shortcut",
        "9_cat3-tool-mediumcut",
        "97_initialworkdirrequirement-docker-out",
        "102_docker-output-dir",
    },
    "v1.1": {
        "8_stdout_redirect_shortcut_docker",
        "9_stdout_redirect_mediumcut_docker",
        "98_initial_workdir_output",
        "100_filesarray_secondaryfiles",
        "104_dockeroutputdir",
        "174_docker_entrypoint",
        "223_networkaccess",
        "224_networkaccess_disabled",
    },
}
LISTED = {"v1.0": 128, "v1.1": 252, "v1.3.0-dev1": 378}


@pytest.mark.parametrize("version", ["v1.0", "v1.1"])
def test_an_older_version_passes_everything_that_does_not_require_a_container(
    version: str, suite: Path, tmp_path: Path
) -> None:
    derived = derive(suite.parent, version, tmp_path / version)
    assert derived.left_out.keys() == LEFT_OUT[version]
    report = run_suite(derived.suite, tmp_path / "results.json", "--no-container")
    assert len(report["tests"]) == LISTED[version] - len(LEFT_OUT[version])
    assert not_passed(report) == NEED_A_CONTAINER[version]
    assert {test["exit_code"] for test in report["tests"] if test["status"] != "passed"} == {33}


@pytest.mark.podman
@pytest.mark.usefixtures("podman", "outside_page")
@pytest.mark.parametrize("version", ["v1.0", "v1.1"])
def test_with_podman_an_older_version_passes_what_requires_a_container(
    version: str, suite: Path, tmp_path: Path
) -> None:
    derived = derive(suite.parent, version, tmp_path / version)
    names = ",".join(NEED_A_CONTAINER[version])
    report = run_suite(derived.suite, tmp_path / "results.json", "--podman", "-n", names)
    assert not_passed(report) == set()


def test_the_development_version_passes_a_sample(suite: Path, tmp_path: Path) -> None:
    derived = derive(suite.parent, "v1.3.0-dev1", tmp_path / "v1.3")
    assert derived.left_out.keys() == LEFT_OUT["v1.3.0-dev1"]
    names = ",".join(str(number) for number in range(3, LISTED["v1.3.0-dev1"], 6))
    options = ["--no-container", "--enable-dev", "-n", names, "--exclude-tags", "timelimit"]
    report = run_suite(derived.suite, tmp_path / "results.json", *options)
    assert len(report["tests"]) > 50
    assert {test["exit_code"] for test in report["tests"] if test["status"] != "passed"} <= {33}
