"""Launch commands as text: all of them on the same runs, and each to the letter."""

import os
import shlex
import subprocess
from typing import Any

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.sites.mpi import LAUNCHERS, runjob
from cwlbalsam.sites.mpi.base import MpiRun

KINDS = sorted(LAUNCHERS)
every = pytest.mark.parametrize("kind", KINDS)
WITH_GPUS = [kind for kind in KINDS if kind not in ("runjob", "jsrun", "flux")]


def run(**changes: Any) -> MpiRun:
    """4 ranks of 2 threads on 2 of 4 nodes."""
    fields = {
        "argv": ("./sim", "a b", "$(x)"),
        "ranks": 4,
        "hosts": ("2", "3"),
        "allocation": ("1", "2", "3", "4"),
        "threads": 2,
        "block": "LOCATION-R1/J00/1x1x1x1x2",
        "here": "1",
    }
    return MpiRun(**{**fields, **changes})


@every
def test_the_program_and_its_arguments_stand_unchanged_at_the_end(kind: str) -> None:
    launch = LAUNCHERS[kind].launch_command(run())
    assert launch.argv[0] == LAUNCHERS[kind].PROGRAM
    assert launch.argv[-3:] == ["./sim", "a b", "$(x)"]


@every
def test_values_of_variables_are_in_the_environment_and_in_no_command_line(kind: str) -> None:
    launch = LAUNCHERS[kind].launch_command(run(environment={"TOKEN": "secret", "B": "2"}))
    assert launch.environment["TOKEN"] == "secret"
    assert not any("secret" in argument for argument in launch.argv)


@every
def test_options_of_the_site_stand_before_the_program(kind: str) -> None:
    argv = LAUNCHERS[kind].launch_command(run(options=("--verbose",))).argv
    assert argv.index("--verbose") < argv.index("./sim")


@every
@pytest.mark.parametrize("changes", [{"ranks": 0}, {"hosts": ()}, {"ranks": 9, "ranks_per_node": 4}])
def test_ranks_that_do_not_fit_are_refused(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="ranks"):
        LAUNCHERS[kind].launch_command(run(**changes))


EXPECTED = {
    "mpich": "mpiexec -launcher ssh -rmk user -hosts 2,3 -n 4 -ppn 2 -bind-to core:2",
    "openmpi": "mpirun --host 2:2,3:2 -n 4 --map-by ppr:2:node:PE=2 --bind-to core",
    "srun": "srun --overlap --exact --mem=0 --immediate=60 --kill-on-bad-exit=1 --distribution=block --nodelist=2,3"
    " --nodes=2 --ntasks=4 --ntasks-per-node=2 --cpus-per-task=2 --cpu-bind=cores",
    "aprun": "aprun -n 4 -N 2 -d 2 -L 2,3 -cc depth",
    "jsrun": "jsrun --nrs 4 --tasks_per_rs 1 --cpu_per_rs 2 --gpu_per_rs 0 --rs_per_host 2"
    " --launch_distribution packed --bind packed:2",
    "ibrun": "ibrun -n 4 -o 2 task_affinity",
    "flux": "flux run --nodes=2 --requires=host:2,3 --ntasks=4 --cores-per-task=2 -o cpu-affinity=per-task",
    "runjob": "runjob --block LOCATION-R1 --corner J00 --shape 1x1x1x1x2 --np 4 --ranks-per-node 2"
    " --envs OMP_NUM_THREADS=2 :",
}


@every
def test_each_to_the_letter(kind: str) -> None:
    assert shlex.join(LAUNCHERS[kind].launch_command(run(binding="core")).argv[:-3]) == EXPECTED[kind]


@every
@pytest.mark.parametrize("binding", ["socket", "none"])
def test_every_binding_is_understood(kind: str, binding: str) -> None:
    LAUNCHERS[kind].launch_command(run(binding=binding))


@pytest.mark.parametrize("kind", WITH_GPUS)
def test_each_rank_of_a_node_sees_its_own_gpus(kind: str) -> None:
    told = run(argv=("sh", "-c", "echo $CUDA_VISIBLE_DEVICES"), gpus_per_rank=2, devices=("4", "5", "6", "GPU-7"))
    argv = LAUNCHERS[kind].launch_command(told).argv
    program = argv[len(argv) - 7 :]
    assert program[:2] == ["sh", "-c"]
    names = ["MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "ALPS_APP_PE"]
    seen = [
        subprocess.run(
            program,
            env={"PATH": os.environ["PATH"], **dict.fromkeys(names, rank)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for rank in "01"
    ]
    assert seen == ["4,5", "6,GPU-7"]


@pytest.mark.parametrize("kind", WITH_GPUS)
def test_more_gpus_than_a_node_has_are_refused(kind: str) -> None:
    with pytest.raises(UserError, match="2 ranks with 2 GPUs each do not fit on a node with 3"):
        LAUNCHERS[kind].launch_command(run(gpus_per_rank=2, devices=("0", "1", "2")))


def test_jsrun_and_flux_share_out_gpus_themselves() -> None:
    assert "--gpu_per_rs 2" in shlex.join(LAUNCHERS["jsrun"].launch_command(run(gpus_per_rank=2)).argv)
    assert "--gpus-per-task=2" in LAUNCHERS["flux"].launch_command(run(gpus_per_rank=2)).argv
    assert "gpu-affinity=off" in LAUNCHERS["flux"].launch_command(run(gpus_per_rank=2, devices=tuple("0123"))).argv


def test_mpiexec_uses_srun_only_when_told_and_without_waiting_for_its_own_batch_job() -> None:
    launch = LAUNCHERS["mpich"].launch_command(run(pmi="pmi2"))
    assert launch.argv[:3] == ["mpiexec", "-launcher", "slurm"]
    assert "--overlap" in launch.environment["HYDRA_LAUNCHER_EXTRA_ARGS"]
    assert LAUNCHERS["mpich"].launch_command(run(hosts=("1",))).argv[:3] == ["mpiexec", "-launcher", "fork"]


def test_ibrun_refuses_nodes_that_are_not_neighbours() -> None:
    with pytest.raises(UserError, match="neighbouring"):
        LAUNCHERS["ibrun"].launch_command(run(hosts=("1", "3")))


def test_aprun_takes_node_names_for_their_numbers() -> None:
    argv = LAUNCHERS["aprun"].launch_command(run(hosts=("nid00012", "nid00000"))).argv
    assert argv[argv.index("-L") + 1] == "12,0"
    with pytest.raises(UserError, match="'n1'"):
        LAUNCHERS["aprun"].launch_command(run(hosts=("n1",)))


@pytest.mark.parametrize(("nodes", "size"), [(1, 32), (32, 32), (33, 64), (8193, 12288), (49152, 49152)])
def test_blue_gene_blocks_have_certain_sizes(nodes: int, size: int) -> None:
    assert runjob.block_size(nodes) == size
    assert runjob.blocks_command("P", nodes) == ["get-bootable-blocks", "--size", str(size), "P"]


def test_blue_gene_parts_of_blocks_have_the_nodes_that_their_shapes_say() -> None:
    for nodes, shape in runjob.SHAPES.items():
        product = 1
        for length in shape.split("x"):
            product *= int(length)
        assert product == nodes
    assert runjob.corners_command("B", 3) == ["get-corners.py", "B", runjob.SHAPES[4]]
    assert runjob.parse_blocks("R00-M0-N00-J00\nR00-M0-N00-J04 $(x)\n") == ["R00-M0-N00-J00", "R00-M0-N00-J04"]


def test_blue_gene_refuses_what_it_does_not_have() -> None:
    for changes, words in [
        ({"gpus_per_rank": 1}, "no GPUs"),
        ({"ranks": 130}, "at most 64"),
        ({"block": ""}, "booted block"),
    ]:
        with pytest.raises(UserError, match=words):
            runjob.launch_command(run(**changes))
    with pytest.raises(UserError, match="49152"):
        runjob.block_size(50000)
    with pytest.raises(UserError, match="midplane"):
        runjob.part_size(513)
    assert "--ranks-per-node 8" in shlex.join(runjob.launch_command(run(ranks=10)).argv)
