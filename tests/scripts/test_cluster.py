"""The test cluster itself: its nodes are apart, Slurm works in it, and nothing is left of it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import Cluster, running_cluster, wait_until

pytestmark = pytest.mark.slurm


def test_nodes_have_host_names_processes_and_temporary_folders_of_their_own(slurm_cluster: Cluster) -> None:
    ask = "echo $(hostname) $(ls /tmp /dev/shm | grep -c mark) $(cat /proc/1/comm); touch {/tmp,/dev/shm}/mark-$RANDOM"
    seen = slurm_cluster.call("srun", "--nodes=4", "bash", "-c", ask).splitlines()
    assert sorted(seen) == [f"n{number} 0 bash" for number in range(1, 5)]


def test_nodes_share_the_folder_and_the_repository_and_know_each_other(slurm_cluster: Cluster) -> None:
    (slurm_cluster.shared / "here").write_text("it is\n")
    ask = f"cat here; ls {Path(__file__)} > /dev/null && getent hosts n1 n2 n3 n4 | wc -l"
    seen = slurm_cluster.call("srun", "--nodes=4", "bash", "-c", ask).split("\n")
    assert sorted(seen) == ["", *["4"] * 4, *["it is"] * 4]


def test_batch_jobs_run_steps_over_nodes_and_are_listed_and_cancelled(slurm_cluster: Cluster) -> None:
    steps = "srun --overlap --mem=0 --exact -w n2,n4 -n 2 -N 2 hostname; sleep 100"
    number = slurm_cluster.call("sbatch", "--parsable", "--nodes=4", "--output=steps", "--wrap", steps).strip()
    output = slurm_cluster.shared / "steps"
    wait_until(lambda: output.exists() and len(output.read_text().split()) == 2)
    listed = json.loads(slurm_cluster.call("squeue", "--json"))["jobs"]
    assert {job["job_id"]: job["job_state"] for job in listed}[int(number)] == "RUNNING"
    slurm_cluster.call("scancel", number)
    wait_until(lambda: not slurm_cluster.call("squeue", "-h").strip())
    assert sorted(output.read_text().split()[:2]) == ["n2", "n4"]


def test_a_node_may_not_see_a_folder_and_several_clusters_run_at_once(tmp_path: Path, slurm_cluster: Cluster) -> None:
    folder = tmp_path / "a folder with a long name".replace(" ", "-")[: 87 - len(str(tmp_path))]
    hidden = folder / "secret"
    hidden.mkdir(parents=True)
    (hidden / "file").touch()
    with running_cluster(folder, "--nodes", "2", "--gpus", "2", "--hide", f"n2:{hidden}") as cluster:
        seen = cluster.call("srun", "-N2", "bash", "-c", f"echo $(hostname) $(ls {hidden})").splitlines()
        assert sorted(seen) == ["n1 file", "n2"]
        gpus = cluster.call("srun", "--gres=gpu:2", "bash", "-c", "echo $CUDA_VISIBLE_DEVICES")
        assert gpus == "0,1\n"
        assert slurm_cluster.call("srun", "hostname").startswith("n")


def test_nothing_is_left_of_a_stopped_cluster_and_a_failed_node_comes_back(tmp_path: Path) -> None:
    with running_cluster(tmp_path, "--nodes", "2") as cluster:
        cluster.call("sbatch", "-N2", "-n2", "--wrap", f"srun -N2 bash -c 'exec -a {tmp_path}-job sleep 1000'")
        wait_until(lambda: _processes_of(tmp_path).count("-job") == 2)
        cluster.fail("n2")
        assert _processes_of(tmp_path).count("-job") == 1
        cluster.call("scancel", "--user", "root")
        cluster.repair("n2")
        assert cluster.call("srun", "-w", "n2", "hostname") == "n2\n"
    assert not _processes_of(tmp_path)


def _processes_of(folder: Path) -> str:
    listed = subprocess.run(["ps", "-e", "-ww", "-o", "stat,args"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in listed.splitlines() if str(folder) in line and not line.startswith("Z")]
    return "\n".join(line for line in lines if "srun" not in line)
