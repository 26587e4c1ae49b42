"""The official CWL v1.2 suite through pilots of a real Slurm: test by test the same results as on this machine."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, running_cluster
from tests.conformance.run_suite import BIN, not_passed
from tests.conformance.test_suite_v1_2 import NEED_A_CONTAINER

pytestmark = [pytest.mark.suite, pytest.mark.slurm]


@pytest.fixture
def cluster(tmp_path: Path, suite: Path) -> Iterator[Cluster]:
    """Its nodes see the suite and the jobs, but neither the store nor the homes of the runs."""
    with running_cluster(tmp_path / "slurm", "--share", str(suite.resolve().parent)) as cluster:
        yield cluster


def test_through_slurm_pilots_the_results_are_the_same(cluster: Cluster, suite: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    pilots = {"nodes": 4, "total_nodes": 4, "max": 2, "wall": "15m", "idle": "30s"}
    site = {"scheduler": "slurm", "work": str(cluster.shared / "work"), "pilots": pilots}
    (home / "sites.yml").write_text(json.dumps({"cluster": site}))
    environment = {**cluster.environment, "CWLBALSAM_HOME": str(home)}
    results = tmp_path / "results.json"
    command = [
        str(BIN / "cwlbalsam"),
        "test",
        str(suite.resolve()),
        "--no-container",
        "--site",
        "cluster",
        "--json",
        str(results),
    ]
    try:
        subprocess.run(command, check=False, env=environment)
    finally:
        subprocess.run([str(BIN / "cwlbalsam"), "site", "stop", "cluster"], check=False, env=environment)
    report = json.loads(results.read_bytes())
    assert not_passed(report) == NEED_A_CONTAINER
    assert {test["exit_code"] for test in report["tests"] if test["status"] != "passed"} == {33}
