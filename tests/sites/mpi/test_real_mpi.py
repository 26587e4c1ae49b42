"""MPI programs for real: MPICH's mpiexec on this machine, srun and mpiexec over the nodes of a real Slurm."""

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import Launch, MpiRun
from cwlbalsam.sites.schedulers import slurm
from tests.cluster import Cluster, wait_until
from tests.sites.schedulers.recorded import request

BIN = sysconfig.get_path("scripts")
WORLD = """
from mpi4py import MPI
import os, socket, sys
world = MPI.COMM_WORLD
told = [world.rank, world.size, world.allreduce(world.rank), socket.gethostname()]
told += [os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["A"]]
sys.stdout.write(" ".join(map(str, told)) + chr(10))  # in one piece: ranks share the pipe
"""
THERE = importlib.util.find_spec("mpi4py") and Path(BIN, "mpiexec").exists()

pytestmark = pytest.mark.skipif(
    not THERE and os.environ.get("CI") != "true", reason="mpi4py and mpich are not installed (extra mpi)"
)


def run(**changes: Any) -> MpiRun:
    return MpiRun(**{"argv": (sys.executable, "-c", WORLD), "environment": {"A": "a b"}, **changes})


def test_mpiexec_makes_one_world_of_its_ranks_here() -> None:
    asked = run(ranks=3, hosts=("localhost",), gpus_per_rank=1, devices=("5", "6", "7"), binding="none")
    launch = LAUNCHERS["mpich"].launch_command(asked)
    environment = {**os.environ, **launch.environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(launch.argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    rows = sorted(line.split() for line in done.stdout.splitlines())
    assert [row[:3] + row[4:] for row in rows] == [[str(rank), "3", "3", str(rank + 5), "a", "b"] for rank in range(3)]


def in_batch_job(cluster: Cluster, name: str, launches: dict[str, Launch]) -> dict[str, list[list[str]]]:
    """Run the launches side by side in one batch job of four nodes; the words of each line that each printed."""
    folder = cluster.shared / name
    folder.mkdir()
    lines = [
        shlex.join(["env", *(f"{key}={value}" for key, value in launch.environment.items()), *launch.argv])
        + f" > {each}.out 2> {each}.err &"
        for each, launch in launches.items()
    ]
    body = "\n".join([f"export PATH={BIN}:$PATH", *lines, "wait", "touch done"])
    fields = {"queue": "", "account": "", "constraint": "", "nodes": 4, "wall_seconds": 120}
    script = folder / "script.sh"
    script.write_text(slurm.script(request(body=body, directory=str(folder), output=f"{folder}/log", **fields)))
    cluster.call("sbatch", script)
    wait_until((folder / "done").exists, 60)
    errors = {each: (folder / f"{each}.err").read_text() for each in launches}
    assert not any(errors.values()), errors
    return {each: sorted(row.split() for row in (folder / f"{each}.out").read_text().splitlines()) for each in launches}


@pytest.mark.slurm
def test_srun_steps_stand_side_by_side_on_the_nodes_they_are_given(slurm_cluster: Cluster) -> None:
    srun = LAUNCHERS["srun"].launch_command
    launches = {
        "wide": srun(run(ranks=4, hosts=("n1", "n2"), pmi="pmi2")),
        "gpus": srun(run(ranks=2, hosts=("n3",), pmi="pmi2", gpus_per_rank=2)),
        "same": srun(run(ranks=4, hosts=("n1", "n4"), pmi="pmi2", threads=2)),
    }
    printed = in_batch_job(slurm_cluster, "srun", launches)
    assert [row[:4] for row in printed["wide"]] == [
        ["0", "4", "6", "n1"],
        ["1", "4", "6", "n1"],
        ["2", "4", "6", "n2"],
        ["3", "4", "6", "n2"],
    ]
    assert [row[3:5] for row in printed["gpus"]] == [["n3", "0,1"], ["n3", "2,3"]]
    assert [row[3] for row in printed["same"]] == ["n1", "n1", "n4", "n4"]


@pytest.mark.slurm
def test_mpiexec_reaches_other_nodes_of_a_slurm_batch_job(slurm_cluster: Cluster) -> None:
    launch = LAUNCHERS["mpich"].launch_command(run(ranks=4, hosts=("n2", "n3"), pmi="pmi2", here="n1"))
    printed = in_batch_job(slurm_cluster, "mpiexec", {"over": launch})
    assert [row[:4] for row in printed["over"]] == [
        ["0", "4", "6", "n2"],
        ["1", "4", "6", "n2"],
        ["2", "4", "6", "n3"],
        ["3", "4", "6", "n3"],
    ]
