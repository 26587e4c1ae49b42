"""Runs through pilots whose nodes are reached by MPI alone."""

import random

import pytest

from tests.cluster import wait_until
from tests.clusters.place import ClusterPlace
from tests.durability.place import kill

pytestmark = pytest.mark.slurm
MPI = {"srun": {"launcher": "srun", "pmi": "pmi2"}, "mpich": {"launcher": "mpich", "pmi": "pmi2"}}


WIDE = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, StepInputExpressionRequirement: {}, InlineJavascriptRequirement: {}}
inputs: []
steps:
  wait:
    run: {class: CommandLineTool, inputs: {number: int}, baseCommand: [sleep, "0.1"], outputs: []}
    scatter: number
    in: {number: {valueFrom: "$(self)", default: [%s]}}
    out: []
outputs: []
"""


def begin(place: ClusterPlace, launcher: str) -> None:
    """One pilot of four nodes, whose ensemble is up."""
    pilots = {"nodes": 4, "total_nodes": 4, "max": 1, "wall": "5m", "idle": "10s"}
    place.describe(starter="mpi", mpi=MPI[launcher], pilots=pilots)
    (place.folder / "wide.cwl").write_text(WIDE % ", ".join(map(str, range(64))))
    place.call("run", "--quiet", "--site", "cluster", "--outdir", place.out, place.folder / "wide.cwl")
    assert len(place.batch_ids()) == 1
    assert len(place.outer_supervisors()) == 4


def check(place: ClusterPlace) -> None:
    assert not [line for line in place.log if line.startswith("OVERLAP")]
    place.check_store(place.run_id())
    place.end_agents()
    place.wait_until_alone(40)


@pytest.mark.parametrize("launcher", list(MPI))
def test_a_dynamic_workflow_runs_on_four_nodes(place: ClusterPlace, launcher: str) -> None:
    begin(place, launcher)
    place.call(*place.run_arguments())
    assert len(place.batch_ids()) == 1
    assert all(count == 1 for count in place.starts().values())
    check(place)


@pytest.mark.parametrize("launcher", list(MPI))
@pytest.mark.parametrize("victim", ["worker", "rank", "rank's parent", "launcher"])
def test_what_is_killed_costs_only_jobs(place: ClusterPlace, launcher: str, victim: str) -> None:
    begin(place, launcher)
    process = place.begin(*place.run_arguments())
    wait_until(lambda: len(place.starts()) >= 8, 60)
    found = {
        "worker": place.workers,
        "rank": place.inner_supervisors,
        "rank's parent": place.outer_supervisors,
        "launcher": place.launchers,
    }
    kill(random.choice(found[victim]()))
    process.communicate(timeout=150)
    assert process.returncode == 0, place.said.read_text()[-4000:]
    check(place)


def test_an_ensemble_that_does_not_start_fails_the_run_in_the_words_of_the_launch_command(place: ClusterPlace) -> None:
    place.describe(starter="mpi", mpi={"launcher": "srun", "pmi": "nonsense"})
    place.call(*place.run_arguments(), code=1)
    assert "nonsense" in place.said.read_text().rpartition("ended before")[2]


def test_an_ensemble_without_mpi4py_is_refused(place: ClusterPlace) -> None:
    place.describe(starter="mpi", mpi=MPI["srun"])
    (place.folder / "blocked").mkdir()
    hide = "import sys, os; os.environ['PYTHONPATH'] = os.environ['PYTHONPATH'] + ':' + os.getcwd() + '/blocked'"
    (place.folder / "blocked" / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'mpi4py' else find(name, *rest)\n"
    )
    process = place.begin(*place.run_arguments(), before=hide)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert "needs mpi4py" in place.said.read_text()
