from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import BatchState
from cwlbalsam.planner.queues.machine import Change, Machine
from cwlbalsam.planner.queues.profile import Profile, place, profile_of, waiting
from cwlbalsam.planner.queues.requests import Request

from .loads import NODES, loads

policies = st.sampled_from(["easy", "conservative"])


def live(machine: Machine) -> dict[str, float]:
    machine.advance(inf)
    return machine.starts


@settings(max_examples=150)
@given(loads(), policies)
def test_never_more_nodes_are_in_use_than_there_are_and_all_that_came_has_run(load: list[Request], policy: str) -> None:
    starts = live(Machine(NODES, policy, load))
    assert set(starts) == {request.id for request in load}
    for moment in starts.values():
        assert sum(r.nodes for r in load if starts[r.id] <= moment < starts[r.id] + r.seconds) <= NODES
    assert all(starts[request.id] >= request.submitted for request in load)


@settings(max_examples=150)
@given(loads())
def test_easy_never_lets_anyone_delay_the_reservation_of_the_first_that_waits(load: list[Request]) -> None:
    machine = Machine(NODES, "easy", load)
    promised: dict[str, float] = {}
    while (moment := machine.next_time()) < inf:
        machine.advance(moment)
        for name, start in promised.items():
            assert machine.starts.get(name, moment) <= start
        if machine.rules.queue:
            state = machine.state()
            first = waiting(state)[0]
            promise = profile_of(state).earliest(first.nodes, first.wall_seconds, moment)
            promised[first.id] = min(promised.get(first.id, inf), promise)


@settings(max_examples=150)
@given(loads())
def test_easy_starts_exactly_what_the_rules_say_by_the_profile_of_free_nodes(load: list[Request]) -> None:
    machine = Machine(NODES, "easy", load)
    while (moment := machine.next_time()) < inf:
        machine.advance(moment)
        state = machine.state()
        placed = place(profile_of(state), waiting(state), state, 1)
        assert [start > moment for _, start in placed] == [True] * bool(machine.rules.queue)


@settings(max_examples=150)
@given(loads())
def test_conservative_never_lets_anyone_delay_anyone(load: list[Request]) -> None:
    machine = Machine(NODES, "conservative", load)
    promised: dict[str, float] = {}
    while (moment := machine.next_time()) < inf:
        machine.advance(moment)
        for request, start in zip(machine.rules.queue, machine.rules.reserved, strict=True):  # type: ignore[attr-defined]
            assert moment < start <= promised.get(request.id, inf)
            promised[request.id] = start
        for name, start in machine.starts.items():
            assert start <= promised.get(name, inf)


@settings(max_examples=200)
@given(loads())
def test_under_conservative_nobody_could_start_earlier_in_the_profile(load: list[Request]) -> None:
    machine = Machine(NODES, "conservative", load)
    while (moment := machine.next_time()) < inf:
        machine.advance(moment)
        rules = machine.rules
        profile: Profile = rules.profile.copy()  # type: ignore[attr-defined]
        assert min(profile.free) >= 0
        for request, start in zip(rules.queue, rules.reserved, strict=True):  # type: ignore[attr-defined]
            profile.add(start, start + request.wall_seconds, request.nodes)
            assert profile.earliest(request.nodes, request.wall_seconds, moment) == start
            profile.take(start, start + request.wall_seconds, request.nodes)


@given(loads(), policies, st.integers(0, 60))
def test_a_fork_lives_on_as_the_machine_itself_does(load: list[Request], policy: str, moment: int) -> None:
    machine = Machine(NODES, policy, load)
    machine.advance(moment)
    fork = machine.fork()
    other = live(machine.fork())
    assert live(fork) == other
    before = dict(machine.starts)
    assert live(machine) == before | other


@given(loads(), policies, st.data())
def test_what_is_cancelled_leaves_no_node_behind(load: list[Request], policy: str, data: st.DataObject) -> None:
    machine = Machine(NODES, policy, load)
    for _ in range(data.draw(st.integers(1, 5))):
        machine.advance(data.draw(st.integers(int(max(machine.now, 0)), 100)))
        known = [*machine.rules.queue, *(request for _, _, request in machine.running.values())]
        if known:
            machine.cancel(data.draw(st.sampled_from(known)))
    live(machine)
    assert (machine.rules.free, machine.rules.queue, machine.running) == (NODES, [], {})


def test_arrivals_come_before_ends_and_one_who_used_all_of_its_time_is_gone_before_both() -> None:
    load = [Request("first", 8, 10, 0, 10), Request("second", 8, 10, 10, 5), Request("third", 8, 10, 15, 1)]
    machine = Machine(NODES, "easy", load)
    events = machine.advance(inf)
    assert machine.starts == {"first": 0, "second": 10, "third": 15}
    assert [event.change for event in events].count(Change.ENDED) == 3


def test_a_state_tells_who_runs_who_waits_and_in_which_order() -> None:
    machine = Machine(
        NODES, "easy", [Request("a", 6, 100, 0, 50), Request("b", 8, 60, 1, 60), Request("c", 4, 60, 2, 60)]
    )
    machine.advance(5)
    state = machine.state()
    assert (state.time, state.nodes, state.free) == (5, 8, 2)
    assert [(job.id, job.state) for job in state.jobs] == [
        ("a", BatchState.RUNNING),
        ("b", BatchState.QUEUED),
        ("c", BatchState.QUEUED),
    ]
    assert [job.id for job in waiting(state)] == ["b", "c"]
    assert (state.jobs[0].started, state.jobs[0].ends) == (0, 100)


def test_what_no_machine_of_this_size_can_run_is_refused() -> None:
    with pytest.raises(ValueError, match="asks for 9 nodes, the machine has 8"):
        Machine(NODES, "easy").submit(Request("big", 9, 10))
