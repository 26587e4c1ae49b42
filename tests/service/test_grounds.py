"""Windows of sites, and where a job fits."""

import pytest

from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.errors import JobError
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.site_limits import PilotLimits, SiteLimits
from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState
from cwlbalsam.planner.problem import Window
from cwlbalsam.service.grounds import pilot_windows
from cwlbalsam.service.room import Ground, room

NODE = Machine(cores=4, ram=4096, tmpdir=1 << 20)


def limits(pilots: int = 4, nodes: int = 4, per_pilot: int = 4) -> SiteLimits:
    return SiteLimits(
        "cluster", (NODE,), PilotLimits(pilots=pilots, nodes=nodes, nodes_per_pilot=per_pilot, wall_seconds=600.0)
    )


def state(free: int, *jobs: BatchJob) -> MachineState:
    return MachineState(time=1000.0, nodes=4, free=free, jobs=jobs)


def running(nodes: int, ends: float, name: str = "others") -> BatchJob:
    return BatchJob(id="1", state=BatchState.RUNNING, nodes=nodes, started=900.0, ends=ends, name=name)


def test_pilots_take_what_nodes_there_are() -> None:
    assert list(pilot_windows(limits(), state(4), 5.0)) == [Window(4, opens=5.0)]
    assert list(pilot_windows(limits(per_pilot=3), state(4), 5.0)) == [Window(3, opens=5.0), Window(1, opens=5.0)]
    assert list(pilot_windows(limits(pilots=1, per_pilot=3), state(4), 0.0)) == [Window(3)]


def test_a_pilot_waits_for_the_nodes_of_others_and_not_for_ours() -> None:
    assert list(pilot_windows(limits(), state(2, running(2, 1100.0)), 5.0)) == [Window(4, opens=105.0)]
    assert list(pilot_windows(limits(), state(2, running(2, 1100.0, "cwlbalsam-1")), 5.0)) == [Window(4, opens=5.0)]


def test_one_machine_is_one_node_however_many_pilots_it_may_have() -> None:
    assert list(pilot_windows(limits(nodes=4, per_pilot=1), None, 0.0, is_batch=False)) == [Window(1)]


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (Grant(), (1, 1)),
        (Grant(cores=2.5), (1, 3)),
        (Grant(ram=2048.0), (1, 2)),
        (Grant(ranks=3), (1, 3)),
        (Grant(ranks=6), (2, 0)),
        (Grant(nodes=1), (1, 0)),
    ],
)
def test_a_job_takes_the_nodes_and_cores_that_it_asks_for(grant: Grant, expected: tuple[int, int]) -> None:
    assert room(Ground(name="cluster", limits=lambda _: limits(), windows=()), grant, 0.0, False) == expected


@pytest.mark.parametrize(
    ("grant", "seconds", "engine", "told"),
    [
        (Grant(cores=5.0), 0.0, False, "5 cores"),
        (Grant(ranks=17), 0.0, False, "room for 16 on 4 nodes"),
        (Grant(), 700.0, False, "lasts 600 s"),
        (Grant(), 0.0, True, "no container engine"),
    ],
)
def test_what_does_not_fit_is_told(grant: Grant, seconds: float, engine: bool, told: str) -> None:
    ground = Ground(name="cluster", limits=lambda _: limits(), windows=(), engine=False)
    with pytest.raises(JobError, match=told):
        room(ground, grant, seconds, engine)
