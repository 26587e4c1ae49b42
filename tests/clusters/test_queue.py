"""Commands and batch scripts that are submitted to a real Slurm."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until
from tests.clusters.place import ClusterPlace, _whole_command_of
from tests.durability.place import kill, processes

pytestmark = pytest.mark.slurm
PROGRAM = """
import socket, sys, time
from mpi4py import MPI
print(MPI.COMM_WORLD.Get_size(), MPI.COMM_WORLD.Get_rank(), socket.gethostname(), flush=True)
MPI.COMM_WORLD.Barrier()
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""


@pytest.fixture
def queue(slurm_cluster: Cluster, place: ClusterPlace) -> Iterator[ClusterPlace]:
    place.describe(mpi={"pmi": "pmi2"}, nodes={"gpus": 4})
    (place.folder / "hello.py").write_text(PROGRAM)
    yield place
    for pid in daemons(place):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not daemons(place), 30)


def daemons(place: ClusterPlace) -> list[int]:
    return [pid for pid in processes() if f"service.queue_daemon {place.home} " in _whole_command_of(pid)]


def submit(place: ClusterPlace, *arguments: str | Path, code: int = 0) -> str:
    return place.call("qsub", "--site", "cluster", "--wait", *arguments, code=code)


def script(place: ClusterPlace, *lines: str) -> Path:
    path = place.folder / "job.sh"
    head = ["#!/bin/bash", "#SBATCH --job-name=fit", "#SBATCH --output=%x.%j"]
    head += [line for line in lines if line.startswith("#")]
    body = [line for line in lines if not line.startswith("#")]
    path.write_text("\n".join([*head, f'hello="{sys.executable} {place.folder}/hello.py"', *body]) + "\n")
    return path


def printed(place: ClusterPlace, name: str = "fit.*") -> str:
    """The newest file of that name: tests with long names share a folder."""
    return max(place.folder.glob(name), key=lambda path: path.stat().st_mtime_ns).read_text()


def told(text: str) -> list[list[str]]:
    """What the ranks of hello.py have printed, without Slurm's own words."""
    return [line.split() for line in text.splitlines() if line[:1].isdigit()]


def test_commands_run_on_nodes_in_the_order_that_was_asked_for(queue: ClusterPlace) -> None:
    first = queue.call("qsub", "--site", "cluster", "-o", "first", "--", "sh", "-c", "hostname; sleep 1; date +%s.%N")
    submit(queue, "--after", first.strip(), "-o", "second", "--", "date", "+%s.%N")
    host, ended = printed(queue, "first").split()
    assert host in {"n1", "n2", "n3", "n4"}
    assert float(printed(queue, "second")) > float(ended)
    submit(queue, "-o", "third", "--", "sh", "-c", "exit 7", code=7)


@pytest.mark.parametrize("launcher", ["srun", "mpich"])
def test_an_mpi_command_gets_the_nodes_that_it_asks_for(queue: ClusterPlace, launcher: str) -> None:
    queue.describe(mpi={"launcher": launcher, "pmi": "pmi2"})
    arguments = ["-o", "out", "--", sys.executable, str(queue.folder / "hello.py")]
    submit(queue, "--nodes", "2", "--ranks", "6", *arguments)
    rows = told(printed(queue, "out"))
    assert [row[0] for row in rows] == ["6"] * 6
    assert sorted(int(row[1]) for row in rows) == list(range(6))
    hosts = [row[2] for row in rows]
    assert sorted(map(hosts.count, set(hosts))) == [3, 3]


@pytest.mark.parametrize("launcher", ["srun", "mpich"])
@pytest.mark.parametrize("name", ["mpirun -np", "mpiexec -n", "srun -n", "aprun -n", "jsrun -p"])
def test_launch_commands_in_a_script_become_those_of_the_site(queue: ClusterPlace, launcher: str, name: str) -> None:
    queue.describe(mpi={"launcher": launcher, "pmi": "pmi2"})
    submit(queue, "--nodes", "2", "--mode", "script", script(queue, "n=$((2 * 3))", f"{name} $n $hello"))
    rows = told(printed(queue))
    assert [row[0] for row in rows] == ["6"] * 6
    assert len({row[2] for row in rows}) == 2


def test_a_script_runs_on_the_first_of_its_nodes_and_knows_them(queue: ClusterPlace) -> None:
    lines = ["#SBATCH -N 2", "hostname", "echo $CWLBALSAM_NODELIST $SLURM_NNODES", "sort -u $PBS_NODEFILE | wc -l"]
    submit(queue, "--mode", "script", script(queue, *lines))
    host, names, count, lines_there = printed(queue).split()
    assert names.split(",")[0] == host
    assert (len(names.split(",")), count, lines_there) == (2, "2", "2")


def test_programs_in_the_background_share_the_nodes_of_their_job(queue: ClusterPlace) -> None:
    lines = ["mpirun -n 4 $hello 2 > a &", "mpirun -n 4 $hello 2 > b &", "mpirun -n 8 $hello > c &", "wait"]
    submit(queue, "--nodes", "2", "--mode", "script", script(queue, *lines))
    hosts = [{row[2] for row in told((queue.folder / name).read_text())} for name in "abc"]
    assert len(hosts[0]) == len(hosts[1]) == 1
    assert hosts[0] | hosts[1] == hosts[2]
    assert "waits until other programs" in printed(queue) or len(hosts[2]) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            "mpirun -n 9 $hello",
            "mpirun: 9 ranks of 1 core each are asked for, and this job has 2 nodes with room for 8",
        ),
        ("srun -N 3 $hello", "srun: 3 nodes are asked for"),
        ("mpirun -host n1,n2,n3,n4 -n 4 $hello", "is not one of this job"),
    ],
)
def test_a_script_that_asks_for_more_than_its_job_has_is_refused(queue: ClusterPlace, asked: str, words: str) -> None:
    submit(queue, "--nodes", "2", "--mode", "script", script(queue, "set -e", asked), code=1)
    assert words in printed(queue)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["#SBATCH -N 5"], "5 nodes are asked for"),
        (["#SBATCH -N 1", "#SBATCH -t 9-00:00:00"], "may take"),
        (["#SBATCH -n 17"], "17 MPI ranks"),
        (["#PBS -l select=1:ncpus=64:mpiprocs=1"], "cores"),
    ],
)
def test_asking_for_more_than_there_is_is_told_at_submission(queue: ClusterPlace, lines: list[str], words: str) -> None:
    queue.call("qsub", "--site", "cluster", "--mode", "script", script(queue, *lines, "hostname"), code=1)
    assert words in queue.said.read_text()
    assert not daemons(queue)


def test_jobs_on_one_node_never_have_the_same_gpu(queue: ClusterPlace) -> None:
    work = "echo $(hostname) $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $(date +%s.%N) $(sleep 0.5; date +%s.%N)"
    submit(queue, "--array", "1-12", "--gpus", "2", "--cores", "0.5", "-o", "gpus.%j", "--", "sh", "-c", work)
    rows = [path.read_text().split() for path in queue.folder.glob("gpus.*")]
    assert len(rows) == 12
    assert {row[1] for row in rows} == {"0,1", "2,3"}
    assert all(row[1] == row[2] for row in rows)
    for one in rows:
        others = [row for row in rows if row is not one and row[:2] == one[:2]]
        assert all(float(row[4]) <= float(one[3]) or float(one[4]) <= float(row[3]) for row in others)


def test_a_killed_queue_ends_what_it_left_on_the_nodes_and_goes_on(queue: ClusterPlace) -> None:
    work = f"echo $$ >> {queue.folder}/ran; sleep 3"
    number = int(queue.call("qsub", "--site", "cluster", "-o", "/dev/null", "--", "sh", "-c", work))
    wait_until((queue.folder / "ran").exists, 60)
    kill(*daemons(queue))
    queue.call("qstat")

    def states() -> dict[int, str]:
        return {job["id"]: job["state"] for job in json.loads(queue.call("qstat", "--all", "--json"))}

    wait_until(lambda: states()[number] == "done", 90)
    assert len((queue.folder / "ran").read_text().split()) == 2


def test_what_a_step_wants_of_the_batch_system_gives_it_a_pilot_of_its_own(queue: ClusterPlace) -> None:
    assert queue.cluster is not None
    tool = queue.folder / "where.cwl"
    tool.write_text("""
cwlVersion: v1.2
class: Workflow
$namespaces: {cwlbalsam: "https://cwlbalsam.org/cwl#"}
inputs: []
steps:
  urgent:
    run: &tool
      class: CommandLineTool
      inputs: []
      baseCommand: [sleep, "4"]
      outputs: []
    hints: {cwlbalsam:Batch: {queue: urgent, account: physics, wallTime: 60, exclusive: true}}
    in: []
    out: []
  plain: {run: *tool, in: [], out: []}
outputs: []
""")
    process = queue.begin("run", "--quiet", "--site", "cluster", "--outdir", queue.out, tool)
    asked = ["squeue", "-h", "-t", "all", "-o", "%P,%a"]
    seen: set[str] = set()
    wait_until(lambda: bool(seen.update(queue.cluster.call(*asked).split())) or len(seen) >= 2, 60)  # type: ignore
    process.communicate(timeout=120)
    assert process.returncode == 0, queue.said.read_text()
    assert {line.partition(",")[0] for line in seen} == {"batch", "urgent"}
    assert "urgent,physics" in seen


@pytest.mark.parametrize(
    ("options", "words"),
    [(["-q", "urgnt"], "did you mean 'urgent'"), (["-q", "short", "-t", "1h"], "may take 3600 s")],
)
def test_a_queue_that_is_not_there_or_too_short_is_told_at_submission(
    queue: ClusterPlace, options: list[str], words: str
) -> None:
    queue.call("qsub", "--site", "cluster", *options, "--", "true", code=1)
    assert words in queue.said.read_text()


def test_an_account_that_is_not_there_is_told_at_submission_in_the_schedulers_words(queue: ClusterPlace) -> None:
    queue.call("qsub", "--site", "cluster", "-A", "alchemy", "--", "true", code=1)
    assert "nvalid account" in queue.said.read_text()
