import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import MachineState, NodeShape
from cwlbalsam.sites.guess import (
    Facts,
    guess,
    guess_launcher,
    guess_scheduler,
    parse_probe,
    probe_command,
    with_machine,
)
from cwlbalsam.sites.site import MpiSettings, NodeSettings, SchedulerSettings, Site, TransferSettings

PROBE = """\
Welcome to the machine!
host login1
home /home/ada
cores 64
program sbatch
program squeue
program srun
program rsync
program scp
program apptainer
program evil
MemTotal:       527672488 kB
gpus 4
mpiexec HYDRA build details: Version: 4.1
"""


def test_a_probe_is_read_and_unknown_programs_are_passed_over() -> None:
    facts = parse_probe(PROBE)
    assert facts == Facts(
        host="login1",
        home="/home/ada",
        cores=64,
        memory_megabytes=515305,
        gpus=4,
        programs=frozenset(["sbatch", "squeue", "srun", "rsync", "scp", "apptainer"]),
        mpiexec="HYDRA build details: Version: 4.1",
    )


def test_the_probe_runs_here() -> None:
    facts = parse_probe(subprocess.run(probe_command(), capture_output=True, text=True, check=True).stdout)
    assert facts.host and facts.home and facts.cores and facts.memory_megabytes


@given(text=st.text(max_size=200))
def test_no_text_whatever_crashes_the_reader_of_probes(text: str) -> None:
    guess(Site(name="a"), parse_probe(text))


@pytest.mark.parametrize(
    ("programs", "kind"),
    [
        (["sbatch", "squeue", "qsub", "pbsnodes"], "slurm"),
        (["qsub", "pbsnodes", "pbs_rstat"], "pbs"),
        (["qsub", "pbsnodes"], "torque"),
        (["qsub", "showres"], "cobalt"),
        (["bsub", "bjobs"], "lsf"),
        (["qsub"], "local"),
        (["flux"], "local"),
        ([], "local"),
    ],
)
def test_a_scheduler_is_known_by_its_programs(programs: list[str], kind: str) -> None:
    assert guess_scheduler(Facts(programs=frozenset(programs))) == kind


def test_inside_a_flux_instance_flux_counts() -> None:
    assert guess_scheduler(Facts(programs=frozenset(["sbatch", "squeue", "flux"]), flux=True)) == "flux"


@pytest.mark.parametrize(
    ("kind", "programs", "mpiexec", "launcher"),
    [
        ("slurm", ["srun"], "HYDRA", "srun"),
        ("slurm", ["srun", "ibrun"], "", "ibrun"),
        ("cobalt", ["aprun"], "", "aprun"),
        ("lsf", ["jsrun"], "", "jsrun"),
        ("flux", ["flux"], "", "flux"),
        ("local", ["srun"], "HYDRA build details", "mpich"),
        ("pbs", [], "mpiexec (OpenRTE) 4.1.4", "openmpi"),
        ("pbs", [], "sh: mpiexec: not found", ""),
    ],
)
def test_a_launch_command_is_known_by_scheduler_programs_and_words(
    kind: str, programs: list[str], mpiexec: str, launcher: str
) -> None:
    assert guess_launcher(kind, Facts(programs=frozenset(programs), mpiexec=mpiexec)) == launcher


def test_what_a_site_says_itself_stays() -> None:
    said = Site(
        name="a",
        work="/w",
        scheduler=SchedulerSettings(kind="torque", queue="q"),
        mpi=MpiSettings(launcher="openmpi"),
        containers=("udocker",),
        transfers=TransferSettings(ways=("scp",)),
        nodes=NodeSettings(cores=2),
    )
    assert guess(said, parse_probe(PROBE)) == said


def test_what_a_site_does_not_say_is_found() -> None:
    found = guess(Site(name="a"), parse_probe(PROBE))
    assert (found.work, found.scheduler.kind, found.mpi.launcher) == ("/home/ada/.cwlbalsam/work", "slurm", "srun")
    assert (found.containers, found.transfers.ways) == (("singularity", "apptainer"), ())
    assert guess(Site(name="a", host="a"), parse_probe(PROBE)).transfers.ways == ("scp", "rsync")


def test_nodes_are_as_most_of_the_queue() -> None:
    shapes = (
        NodeShape(count=9, cores=8, queues=("small",)),
        NodeShape(count=4, cores=64, memory_megabytes=1000, gpus=4, queues=("big",)),
    )
    state = MachineState(time=0, nodes=13, free=0, shapes=shapes)
    site = Site(name="a", scheduler=SchedulerSettings(queue="big"), nodes=NodeSettings(gpus=2))
    assert with_machine(site, state).nodes == NodeSettings(cores=64, memory_megabytes=1000, gpus=2)
    assert with_machine(Site(name="a"), state).nodes.cores == 8
