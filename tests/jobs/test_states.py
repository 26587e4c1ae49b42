import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import IllegalTransition
from cwlbalsam.jobs.model import State
from cwlbalsam.jobs.states import FINAL, TRANSITIONS, Event, advance, diagram, legal_events


@given(st.lists(st.sampled_from(Event), max_size=40))
def test_no_sequence_of_events_leaves_a_final_state(events: list[Event]) -> None:
    state = State.CREATED
    for event in events:
        try:
            after = advance(state, event)
        except IllegalTransition:
            after = state
        assert state not in FINAL or after is state
        state = after


@given(st.randoms(use_true_random=False))
def test_a_random_walk_of_legal_events_moves_on_until_it_is_final(random: object) -> None:
    state = State.CREATED
    for _ in range(1_000):
        legal = legal_events(state)
        if not legal:
            break
        state = advance(state, random.choice(legal))  # type: ignore[attr-defined]
    assert state in FINAL


def test_every_state_is_reached_and_every_state_reaches_a_final_one() -> None:
    reached, ends = {State.CREATED}, set(FINAL)
    for _ in State:
        reached |= {target for (state, _), target in TRANSITIONS.items() if state in reached}
        ends |= {state for (state, _), target in TRANSITIONS.items() if target in ends}
    assert reached == ends == set(State)


def test_every_event_and_only_a_final_state_has_no_way_on() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {state for state in State if not legal_events(state)} == FINAL


def test_a_local_run_needs_two_transitions_and_sites_the_whole_ladder() -> None:
    local = advance(advance(State.READY, Event.DISPATCHED), Event.FINISHED)
    assert local is State.JOB_FINISHED
    state, ladder = State.CREATED, []
    upward = [Event.SUBMITTED, Event.PARENTS_FINISHED, Event.STAGED_IN, Event.PREPROCESSED, Event.DISPATCHED, Event.RAN]
    for event in [*upward, Event.POSTPROCESSED, Event.STAGED_OUT, Event.FINISHED]:
        state = advance(state, event)
        ladder.append(state)
    assert ladder == list(State)[1:10]


def test_an_illegal_event_is_answered_with_the_legal_ones() -> None:
    with pytest.raises(IllegalTransition, match="RAN in state RUN_ERROR; legal: RETRY, GIVE_UP, KILLED_BY_USER"):
        advance(State.RUN_ERROR, Event.RAN)
    with pytest.raises(IllegalTransition, match="none: the state is final"):
        advance(State.FAILED, Event.RETRY)


def test_the_diagram_shows_every_transition() -> None:
    drawn = diagram()
    for (state, event), target in TRANSITIONS.items():
        if event is not Event.KILLED_BY_USER:
            assert any(
                line.startswith(f"    {state.name} --> {target.name}:") and event.name in line
                for line in drawn.splitlines()
            )
