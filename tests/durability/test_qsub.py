"""What users of sbatch and qsub expect of `cwlbalsam qsub` on one machine."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.durability.place import Place

MPI = """#!/bin/sh
# stands for mpirun: starts what it is told so often, and tells of its GPUs
count=$2; shift 2
for rank in $(seq $count); do MPI_RANK=$rank "$@" & done; wait
"""


@pytest.fixture
def shop(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place with an mpirun, and with GPUs 5 and 7."""
    folder = place.folder / "programs"
    folder.mkdir()
    (folder / "mpirun").write_text(MPI)
    (folder / "mpirun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.setenv("TOKEN", "secret")
    return place


def submit(place: Place, *arguments: str | Path, code: int = 0) -> list[int]:
    return list(map(int, place.call("qsub", "--wait", *arguments, code=code).split()))


def text(place: Place, name: str) -> str:
    return (place.folder / name).read_text()


def script(place: Place, *lines: str) -> Path:
    path = place.folder / "job.sh"
    path.write_text("\n".join(["#!/bin/bash", *lines]) + "\n")
    return path


def test_a_command_runs_where_it_was_submitted_and_leaves_its_output_there(shop: Place) -> None:
    (number,) = submit(shop, "-N", "fit", "--", "sh", "-c", "pwd; echo bad >&2; echo ${TOKEN-none} $CWLBALSAM_JOB_ID")
    assert text(shop, f"fit.o{number}").split() == [str(shop.folder), "bad", "none", str(number)]
    (number,) = submit(
        shop, "-o", "%x-%j.out", "-e", "err", "-v", "TOKEN", "--", "sh", "-c", "echo $TOKEN; echo bad >&2"
    )
    assert (text(shop, f"sh-{number}.out"), text(shop, "err")) == ("secret\n", "bad\n")


def test_the_exit_code_of_a_failed_command_is_that_of_the_call(shop: Place) -> None:
    submit(shop, "--", "sh", "-c", "exit 7", code=7)
    submit(shop, "--", "sh", "-c", "kill -9 $$", code=137)
    assert "job 101: the command ended with exit code 7" in shop.said.read_text()


def test_a_job_waits_for_those_before_it_and_never_runs_after_one_that_failed(shop: Place) -> None:
    first = shop.call("qsub", "-o", "/dev/null", "--", "sh", "-c", "sleep 0.5; echo 1 >> order").strip()
    submit(shop, "--after", first, "-o", "/dev/null", "--", "sh", "-c", "echo 2 >> order")
    assert text(shop, "order") == "1\n2\n"
    slow = shop.call("qsub", "-o", "/dev/null", "--", "sh", "-c", "sleep 0.5; exit 1").strip()
    submit(shop, "--after", slow, "-o", "/dev/null", "--", "sh", "-c", "echo 3 >> order", code=1)
    assert text(shop, "order") == "1\n2\n"
    shop.call("qsub", "--after", slow, "--", "true", code=1)
    assert f"job {slow} is FAILED" in shop.said.read_text()


def test_a_time_limit_ends_a_job(shop: Place) -> None:
    began = time.monotonic()
    submit(shop, "-t", "1s", "--", "sleep", "60", code=143)
    assert time.monotonic() - began < 30
    assert "longer than its time limit of 1 seconds" in shop.said.read_text()


def test_jobs_of_an_array_and_of_a_file_know_their_numbers(shop: Place) -> None:
    numbers = submit(shop, "--array", "1-5:2", "-o", "a%a", "--", "sh", "-c", "echo $SLURM_ARRAY_TASK_ID")
    assert [text(shop, f"a{index}") for index in (1, 3, 5)] == ["1\n", "3\n", "5\n"]
    (shop.folder / "commands").write_text("# two\necho one | tr a-z A-Z > one\n\necho $((1 + 1)) > two\n")
    more = submit(shop, "--file", "commands", "-o", "/dev/null")
    assert (text(shop, "one"), text(shop, "two")) == ("ONE\n", "2\n")
    assert numbers + more == list(range(101, 106))


def test_killed_jobs_end_and_take_along_those_that_wait_for_them(shop: Place) -> None:
    slow = shop.call("qsub", "-o", "/dev/null", "--", "sleep", "987").strip()
    after = shop.call("qsub", "-o", "/dev/null", "--after", slow, "--", "true").strip()

    def states() -> list[str]:
        return [job["state"] for job in json.loads(shop.call("qstat", "--json", slow, after))]

    wait_until(lambda: states() == ["running", "held"])
    shop.call("qdel", slow)
    wait_until(lambda: states() == ["killed", "never ran"])
    assert shop.call("qstat") == ""


def test_a_script_starts_programs_on_its_own_cores_and_no_more(shop: Place) -> None:
    body = ["#SBATCH -n 2 -J fit -o %x.out", "n=$((1 + 1)); mpirun -np $n sh -c 'echo rank $MPI_RANK'"]
    loads = ["PATH=/nowhere:$PATH srun -n 1 sh -c 'echo $CWLBALSAM_NODES $SLURM_NTASKS'", "mpirun -n 3 true"]
    submit(shop, script(shop, *body, *loads), "argument", code=1)
    lines = text(shop, "fit.out").splitlines()
    assert sorted(lines[:2]) == ["rank 1", "rank 2"]
    assert lines[2].split()[0] == "1"
    assert "3 ranks of 1 core each are asked for, and this job has 1 node with room for 2" in lines[3]


def test_jobs_side_by_side_have_different_gpus(shop: Place) -> None:
    work = "echo $CUDA_VISIBLE_DEVICES $(date +%s.%N) $(sleep 0.3; date +%s.%N)"
    submit(shop, "--array", "1-6", "-c", "0.1", "--gpus", "1", "-o", "gpu%a", "--", "sh", "-c", work)
    rows = [text(shop, f"gpu{index}").split() for index in range(1, 7)]
    assert {row[0] for row in rows} <= {"5", "7"}
    for one in rows:
        others = [row for row in rows if row is not one and row[0] == one[0]]
        assert all(float(row[2]) <= float(one[1]) or float(one[2]) <= float(row[1]) for row in others)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes", "2", "--", "true"], "2 nodes are asked for|asks for 2 nodes, and this is one machine"),
        (["-c", "4096", "--", "true"], "4096 cores"),
        (["--gpus", "3", "--", "true"], "3 gpus"),
        (["--after", "7", "--", "true"], "there is no job 7"),
        (["--after", "x", "--", "true"], "wants numbers of jobs"),
        (["-t", "soon", "--", "true"], "no length of time"),
        (["--array", "1-", "--", "true"], "wants numbers such as"),
        (["--mode", "script", "missing.sh"], "cannot be read"),
        (["--mode", "script", sys.executable], "no batch script"),
        (["--site", "nowhere", "--", "true"], "no site 'nowhere'"),
        (["-d", "/nowhere", "--", "true"], "no directory"),
        ([], "what is to be run"),
    ],
)
def test_what_can_never_run_is_told_at_submission(shop: Place, arguments: list[str], words: str) -> None:
    shop.call("qsub", *arguments, code=1)
    said = shop.said.read_text()
    assert any(word in said for word in words.split("|")), said
    assert "Traceback" not in said
    assert not (shop.home / "queues" / "local" / "daemon.log").exists()
