import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import IllegalTransition
from cwlbalsam.jobs.replicas import (
    TRANSITIONS,
    Catalogue,
    Owned,
    Produced,
    Replica,
    ReplicaEvent,
    ReplicaState,
    file_key,
    file_of,
)


def copy(site: str, file: str = "f", **more: object) -> Replica:
    return Replica(file=file, site=site, path=f"/{site}/{file}", state=ReplicaState.PENDING, ours=True, **more)  # type: ignore[arg-type]


@given(
    st.one_of(
        st.builds(Produced, st.text(), st.integers(0, 10**9), st.integers(0, 9), st.text(), st.text()),
        st.builds(Owned, st.text(), st.text(), st.integers(0, 2**62), st.integers(0, 2**62)),
    )
)
def test_an_identity_is_text_and_back(file: Produced | Owned) -> None:
    assert file_of(file_key(file)) == file


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        file_of("{}")


@pytest.mark.parametrize("state", [None, *ReplicaState])
@pytest.mark.parametrize("event", ReplicaEvent)
def test_each_state_follows_the_table(state: ReplicaState | None, event: ReplicaEvent) -> None:
    catalogue = Catalogue() if state is None else Catalogue([msgspec.structs.replace(copy("a"), state=state)])
    if (state, event) in TRANSITIONS:
        assert catalogue.apply(event, copy("a")).state is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            catalogue.apply(event, copy("a"))


def test_a_write_in_place_makes_a_new_generation_and_dooms_all_others() -> None:
    catalogue = Catalogue()
    for site in ("a", "b"):
        catalogue.apply(ReplicaEvent.ARRIVED, copy(site, checksum="sha1$x"))
    written = catalogue.write("f", "a")
    assert (written.generation, written.checksum) == (1, "")
    assert catalogue.valid("f") == [written]
    assert [replica.site for replica in catalogue.removable("b")] == ["b"]
    catalogue.apply(ReplicaEvent.ARRIVED, copy("c", generation=0))
    assert catalogue.valid("f") == [written], "what was read before the write is not the file any more"


def test_what_is_read_is_neither_written_nor_removed() -> None:
    catalogue = Catalogue()
    there = catalogue.apply(ReplicaEvent.ARRIVED, copy("a"))
    catalogue.pin(there)
    with pytest.raises(IllegalTransition):
        catalogue.write("f", "a")
    catalogue.apply(ReplicaEvent.LOST, there)
    assert catalogue.removable("a") == []
    with pytest.raises(IllegalTransition):
        catalogue.forget(there)
    catalogue.unpin(there)
    (doomed,) = catalogue.removable("a")
    catalogue.forget(doomed)
    assert catalogue.at("f", "a") is None
    with pytest.raises(IllegalTransition):
        catalogue.unpin(there)


def test_a_users_file_is_never_removable() -> None:
    catalogue = Catalogue()
    there = catalogue.apply(ReplicaEvent.ARRIVED, msgspec.structs.replace(copy("a"), ours=False))
    catalogue.apply(ReplicaEvent.LOST, there)
    assert catalogue.removable("a") == []


STEPS = st.lists(
    st.tuples(st.sampled_from([*ReplicaEvent, "write", "pin", "unpin", "forget"]), st.sampled_from("abc")), max_size=30
)


@given(STEPS)
def test_whatever_happens_what_is_pinned_stays_and_only_the_newest_is_read(
    steps: list[tuple[ReplicaEvent | str, str]],
) -> None:
    catalogue = Catalogue()
    pins = dict.fromkeys("abc", 0)
    for step, site in steps:
        there = catalogue.at("f", site)
        try:
            if isinstance(step, ReplicaEvent):
                catalogue.apply(step, msgspec.structs.replace(there) if there else copy(site))
            elif step == "write":
                catalogue.write("f", site)
            elif there is not None and step == "forget":
                catalogue.forget(there)
            elif there is not None:
                {"pin": catalogue.pin, "unpin": catalogue.unpin}[step](there)
                pins[site] += 1 if step == "pin" else -1
        except IllegalTransition:
            pass
        for name, count in pins.items():
            known = catalogue.at("f", name)
            assert (known.pins if known else 0) == count
        assert len({replica.generation for replica in catalogue.valid("f")}) <= 1
    assert {(replica.file, replica.site) for replica in catalogue.take_changes()} <= {("f", site) for site in "abc"}
    assert catalogue.take_changes() == []
