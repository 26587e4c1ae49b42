"""Runs through pilots of a real Slurm."""

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.clusters.place import ClusterPlace
from tests.durability.place import kill

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).resolve().parents[2]
WORDS = ROOT / "workflows" / "word-count"


def test_a_workflow_gives_the_same_through_slurm_as_here(place: ClusterPlace) -> None:
    arguments = [str(WORDS / "word-count.cwl"), str(WORDS / "inputs.yml")]
    here = json.loads(place.call("run", "--outdir", place.out, *arguments))
    there = json.loads(place.call("run", "--outdir", place.out, "--site", "cluster", *arguments))
    assert there == here
    assert "pilot" in place.said.read_text()


@pytest.mark.parametrize("transport", ["tcp", "spool"])
def test_a_dynamic_workflow_runs_on_four_nodes(place: ClusterPlace, transport: str) -> None:
    place.describe(transport=transport)
    place.call(*place.run_arguments())
    run = place.run_id()
    assert not [line for line in place.log if line.startswith("OVERLAP")]
    assert all(count == 1 for count in place.starts().values())
    assert place.rows("SELECT status FROM runs WHERE id = ?", run) == [("finished",)]


def test_pilots_stay_for_the_next_run_and_leave_when_idle(place: ClusterPlace) -> None:
    place.describe(pilots={"nodes": 1, "max": 1, "wall": "5m", "idle": "3s"})
    arguments = ["run", "--quiet", "--outdir", place.out, "--site", "cluster", WORDS / "word-count.cwl"]
    place.call(*arguments, WORDS / "inputs.yml")
    place.call(*arguments, WORDS / "inputs.yml")
    assert place.cluster is not None
    assert len(place.batch_ids()) == 1
    wait_until(lambda: not place.launchers(), 30)
    wait_until(lambda: place.cluster is not None and not place.cluster.call("squeue", "-h").strip(), 30)


def test_a_job_may_take_longer_than_pilots_stay_idle(place: ClusterPlace) -> None:
    place.describe(pilots={"nodes": 1, "max": 1, "wall": "5m", "idle": "2s"})
    tool = place.folder / "slow.cwl"
    command = ["sh", "-c", f"echo begun >> {place.folder}/begun; sleep 7"]
    tool.write_text(f"{{cwlVersion: v1.2, class: CommandLineTool, inputs: [], outputs: [], baseCommand: {command}}}")
    place.call("run", "--quiet", "--outdir", place.out, "--site", "cluster", tool)
    assert (place.folder / "begun").read_text() == "begun\n"


@pytest.mark.parametrize("victim", ["worker", "supervisor", "launcher", "agent", "pilot", "node"])
def test_what_is_killed_costs_only_its_jobs(place: ClusterPlace, victim: str) -> None:
    cluster = place.cluster
    assert cluster is not None
    process = place.begin(*place.run_arguments())
    wait_until(lambda: len(place.starts()) >= 8, 60)
    if victim == "worker":
        kill(place.supervisors()[-1])
    elif victim == "supervisor":
        kill(place.supervisors()[0])
    elif victim == "launcher":
        kill(place.launchers()[0])
    elif victim == "agent":
        kill(*place.agents())
    elif victim == "pilot":
        cluster.call("scancel", *place.batch_ids())
    else:
        cluster.fail("n1")
    try:
        told, _ = process.communicate(timeout=120)
    finally:
        if victim == "node":
            cluster.repair("n1")
    assert process.returncode == 0, place.said.read_text()[-4000:]
    assert json.loads(told)["total"]["size"] > 0
    assert not [line for line in place.log if line.startswith("OVERLAP")]
    assert place.rows("SELECT status FROM runs WHERE id = ?", place.run_id()) == [("finished",)]


def test_a_killed_run_is_resumed_and_nothing_recorded_runs_again(place: ClusterPlace) -> None:
    process = place.begin(*place.run_arguments())
    wait_until(lambda: len(place.starts()) >= 20, 60)
    process.kill()
    process.communicate()
    run = place.run_id()
    recorded, lines = place.recorded(run), len(place.log)
    place.call("resume", "--quiet", run)
    again = {job for _, job in place.starts(lines)}
    assert recorded
    assert not recorded & again
    assert not [line for line in place.log if line.startswith("OVERLAP")]


def test_ctrl_c_ends_the_jobs_on_the_nodes(place: ClusterPlace) -> None:
    tool = place.folder / "sleep.cwl"
    tool.write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, inputs: [], outputs: [], baseCommand: [bash, -c],"
        f' arguments: ["touch {place.folder}/began; sleep 987"]}}'
    )
    process = place.begin("run", "--site", "cluster", "--outdir", place.out, tool)
    wait_until((place.folder / "began").exists, 30)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.2)
    process.communicate(timeout=30)
    assert process.returncode == 130
    wait_until(lambda: not _sleepers(), 15)


def _sleepers() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return [line for line in found if line.startswith("sleep 987")]


@pytest.mark.parametrize(
    ("site", "tool", "told"),
    [
        ({"scheduler": {"kind": "slurm", "queue": "nowhere"}}, "", "invalid partition specified: nowhere"),
        ({"scheduler": {"kind": "slurm", "account": "nobody"}}, "", "Invalid account"),
        ({}, "ResourceRequirement: {coresMin: 99}", "99 cores"),
        ({}, "ResourceRequirement: {ramMin: 999999}", "999999 MiB of memory"),
        ({}, "ToolTimeLimit: {timelimit: 9999}", "may take 9999 s"),
        ({}, "cwltool:MPIRequirement: {processes: 99}", "99 MPI ranks"),
    ],
)
def test_what_the_cluster_can_never_do_is_told_at_once(
    place: ClusterPlace, site: dict[str, Any], tool: str, told: str
) -> None:
    place.describe(**site)
    document = place.folder / "tool.cwl"
    document.write_text(
        f"{{cwlVersion: v1.2, class: CommandLineTool, $namespaces: {{cwltool: 'http://commonwl.org/cwltool#'}},"
        f" requirements: {{{tool}}}, inputs: [], outputs: [], baseCommand: 'true'}}"
    )
    place.call("run", "--site", "cluster", "--outdir", place.out, document, code=1, timeout=40)
    assert told in place.said.read_text()
    assert "Traceback" not in place.said.read_text()


def test_a_pilot_fits_the_hole_that_others_leave_and_starts_at_once(place: ClusterPlace) -> None:
    """Two nodes are busy for five minutes, then all are promised: half an hour on two nodes would have to wait."""
    cluster = place.cluster
    assert cluster is not None
    other = [
        "sbatch",
        "--parsable",
        "--uid=nobody",
        "--chdir=/",
        "--output=/dev/null",
        "--exclusive",
        "--wrap=sleep 300",
    ]
    running = cluster.call(*other, "--nodes=2", "--time=5", "--wrap=sleep 300").strip()
    wait_until(lambda: cluster.call("squeue", "-h", "-o", "%T", "-j", running).strip() == "RUNNING")
    waiting = cluster.call(*other, "--nodes=4", "--time=60", "--wrap=sleep 300").strip()
    wait_until(lambda: bool(cluster.call("squeue", "-h", "-o", "%S", "-j", waiting).strip("N/A\n")))
    place.describe(pilots={"wall": "30m", "idle": "30s"})
    tool = place.folder / "short.cwl"
    tool.write_text("""
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: {type: "int[]", default: [1, 2, 3]}}
steps:
  each:
    scatter: number
    run:
      class: CommandLineTool
      requirements: {ToolTimeLimit: {timelimit: 60}, ResourceRequirement: {coresMin: 4}}
      inputs: {number: int}
      baseCommand: hostname
      stdout: where
      outputs: {where: stdout}
    in: {number: numbers}
    out: [where]
outputs: {where: {type: "File[]", outputSource: each/where}}
""")
    try:
        place.call("run", "--site", "cluster", "--outdir", place.out, tool, timeout=90)
        states = dict(line.split() for line in cluster.call("squeue", "-h", "-o", "%i %T").splitlines())
        assert (states[running], states[waiting]) == ("RUNNING", "PENDING")
        found = re.search(r"pilot (\d+): 2 nodes asked for: 2 nodes are free now for", place.said.read_text())
        assert found
        size, minutes, state = cluster.call("squeue", "-h", "-o", "%D %l %T", "-j", found[1]).split()
        assert (size, state) == ("2", "RUNNING")
        assert minutes in {"3:00", "4:00"}
    finally:
        cluster.call("scancel", running, waiting)
