import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import IllegalTransition
from cwlbalsam.jobs.replicas import TRANSITIONS, Catalogue, Owned, Replica, ReplicaEvent, ReplicaState, file_key


def copy(site: str, file: str = "f") -> Replica:
    return Replica(file=file, site=site, path=f"/{site}/{file}", state=ReplicaState.PENDING)


OWNED = st.builds(Owned, st.text(), st.text(), st.integers(0, 2**62), st.integers(0, 2**62))


@given(OWNED, OWNED)
def test_files_have_one_key_only_if_they_are_the_same(one: Owned, other: Owned) -> None:
    assert (file_key(one) == file_key(other)) == (one == other)


@pytest.mark.parametrize("state", [None, *ReplicaState])
@pytest.mark.parametrize("event", ReplicaEvent)
def test_each_state_follows_the_table(state: ReplicaState | None, event: ReplicaEvent) -> None:
    catalogue = Catalogue() if state is None else Catalogue([msgspec.structs.replace(copy("a"), state=state)])
    if (state, event) in TRANSITIONS:
        assert catalogue.apply(event, copy("a")).state is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            catalogue.apply(event, copy("a"))


def test_what_is_read_does_not_move() -> None:
    catalogue = Catalogue()
    there = catalogue.apply(ReplicaEvent.ARRIVED, copy("a"))
    catalogue.pin(there)
    moved = msgspec.structs.replace(there, path="/elsewhere")
    with pytest.raises(IllegalTransition):
        catalogue.apply(ReplicaEvent.ARRIVED, moved)
    catalogue.unpin(there)
    catalogue.apply(ReplicaEvent.ARRIVED, moved)
    with pytest.raises(IllegalTransition):
        catalogue.unpin(there)


STEPS = st.lists(st.tuples(st.sampled_from([*ReplicaEvent, "pin", "unpin"]), st.sampled_from("abc")), max_size=30)


@given(STEPS)
def test_whatever_happens_what_is_pinned_stays_known(steps: list[tuple[ReplicaEvent | str, str]]) -> None:
    catalogue = Catalogue()
    pins = dict.fromkeys("abc", 0)
    for step, site in steps:
        there = catalogue.at("f", site)
        try:
            if isinstance(step, ReplicaEvent):
                catalogue.apply(step, msgspec.structs.replace(there) if there else copy(site))
            elif there is not None:
                {"pin": catalogue.pin, "unpin": catalogue.unpin}[step](there)
                pins[site] += 1 if step == "pin" else -1
        except IllegalTransition:
            pass
        for name, count in pins.items():
            known = catalogue.at("f", name)
            assert (known.pins if known else 0) == count
        assert {replica.state for replica in catalogue.valid("f")} <= {ReplicaState.VALID}
