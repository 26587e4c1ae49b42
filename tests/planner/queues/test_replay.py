from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Reservation
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.profile import windows
from cwlbalsam.planner.queues.replay import expected_start
from cwlbalsam.planner.queues.requests import Request

from .loads import NODES, loads


@settings(max_examples=200)
@given(
    loads(), st.sampled_from(["easy", "conservative"]), st.integers(0, 40), st.integers(1, NODES), st.integers(1, 20)
)
def test_a_replay_that_knows_all_run_times_is_right(
    load: list[Request], policy: str, moment: int, nodes: int, wall: int
) -> None:
    seconds = {request.id: request.seconds for request in load}
    machine = Machine(NODES, policy, [request for request in load if request.submitted <= moment])
    machine.advance(moment)
    state = machine.state()
    machine.submit(Request("ours", nodes, wall, moment, wall))
    machine.advance(inf)
    predicted = expected_start(state, nodes, wall, policy, lambda job: seconds[job.id])
    if policy == "easy":
        assert predicted == machine.starts["ours"]
    else:  # a state does not tell the reservations, and given anew they may be other ones
        assert predicted >= moment


@given(loads(), st.integers(0, 40))
def test_what_fits_into_a_hole_starts_now(load: list[Request], moment: int) -> None:
    machine = Machine(NODES, "easy", load)
    machine.advance(moment)
    state = machine.state()
    for window in windows(state):
        assert expected_start(state, window.nodes, min(window.seconds, 1e6)) == moment
        if window.nodes < NODES and window.seconds < inf and state.jobs:
            assert expected_start(state, window.nodes, window.seconds + 1) > moment


def test_without_predictions_all_use_their_whole_time() -> None:
    busy = BatchJob(id="a", state=BatchState.RUNNING, nodes=6, wall_seconds=100, started=50, ends=150)
    state = MachineState(time=100, nodes=10, free=4, jobs=(busy,))
    assert expected_start(state, 4, 10) == 100
    assert expected_start(state, 5, 10) == 150
    assert expected_start(state, 5, 10, seconds=lambda job: 60) == 110
    assert expected_start(state, 5, 10, seconds=lambda job: 20) == 150, "it has run longer than that"
    assert expected_start(state, 11, 10) == inf


def test_drained_nodes_stay_away_and_reserved_ones_come_back() -> None:
    course = Reservation(name="course", nodes=4, starts=0, ends=500)
    state = MachineState(time=100, nodes=10, free=4, reservations=(course,))
    assert expected_start(state, 8, 10) == 500
    assert expected_start(state, 9, 10) == inf


def test_a_reservation_to_come_is_heeded() -> None:
    state = MachineState(
        time=100, nodes=10, free=10, reservations=(Reservation(name="m", nodes=10, starts=200, ends=300),)
    )
    assert expected_start(state, 1, 100) == 100
    assert expected_start(state, 1, 101) == 300
