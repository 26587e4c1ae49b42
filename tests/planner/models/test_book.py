"""Models in files."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.planner.models.application import ApplicationModel
from cwlbalsam.planner.models.book import Book, Page, decode_book, encode_book, merged, pooled_site_speeds
from cwlbalsam.planner.models.observation import Observation, Setting, hinted_prior

observations = st.builds(
    Observation,
    setting=st.builds(
        Setting,
        input_bytes=st.floats(0, 1e15),
        numbers=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        nodes=st.integers(1, 5000),
        site=st.text(max_size=5),
    ),
    wall_seconds=st.floats(0, 1e7),
    peak_memory_bytes=st.floats(0, 1e12),
    censored=st.booleans(),
)
books = st.lists(observations, max_size=5).map(
    lambda some: Book(pages=(Page(key="k", name="align", prior=hinted_prior(600, 1024), observations=tuple(some)),))
)


@settings(max_examples=30, deadline=None)
@given(books)
def test_a_book_comes_back_as_it_was(book: Book) -> None:
    assert decode_book(encode_book(book)) == book


@settings(max_examples=30, deadline=None)
@given(books)
def test_importing_what_is_known_changes_nothing(book: Book) -> None:
    assert merged(book, book) == book


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_file_crashes_the_reader(data: bytes) -> None:
    with pytest.raises(UserError, match="models"):
        decode_book(data, "some.json")


@pytest.mark.parametrize("version", [0, 2, "1", None, [1] * 100])
def test_an_unknown_version_is_named(version: object) -> None:
    data = json.dumps({"format": "cwlbalsam-models", "version": version, "pages": "whatever"}).encode()
    with pytest.raises(UserError, match=r"some\.json: models of an unknown version .* knows version 1"):
        decode_book(data, "some.json")


@pytest.mark.parametrize("bad", [{"wall_seconds": -1.0}, {"setting": {"nodes": 0}}, {"wall_seconds": "1"}])
def test_values_that_cannot_be_are_refused(bad: dict[str, object]) -> None:
    one = {"setting": {}, "wall_seconds": 1.0} | bad
    data = {"format": "cwlbalsam-models", "version": 1, "pages": [{"key": "k", "observations": [one]}]}
    with pytest.raises(UserError, match="broken export"):
        decode_book(json.dumps(data).encode())


def test_a_site_that_slows_all_applications_is_expected_to_slow_another() -> None:
    effects = {f"app{n}": {"here": (0.0, 0.02), "there": (0.7 + 0.02 * n, 0.05)} for n in range(5)}
    speeds = pooled_site_speeds(effects)
    assert speeds["there"].log_slowness == pytest.approx(0.74, abs=0.1)
    assert abs(speeds["here"].log_slowness) < 0.05
    assert speeds["there"].deviation < 0.2


def test_a_model_that_learns_one_by_one_predicts_like_one_that_was_kept_and_read() -> None:
    model = ApplicationModel()
    for number in range(40):
        size = 1e8 * (1 + number % 7)
        model.add(Observation(setting=Setting(input_bytes=size), wall_seconds=size / 1e6, peak_memory_bytes=size))
    kept = decode_book(encode_book(Book(pages=(Page(key="k", observations=tuple(model.observations)),)))).pages[0]
    again = ApplicationModel(kept.prior, kept.observations)
    wanted = [Setting(input_bytes=3.5e8)]
    assert again.wall_seconds(wanted).medians()[0] == pytest.approx(model.wall_seconds(wanted).medians()[0], rel=0.02)
    assert again.memory_bytes(wanted).medians()[0] == pytest.approx(3.5e8, rel=0.1)


def test_hints_are_believed_until_jobs_tell_better() -> None:
    hinted = hinted_prior(time_limit_seconds=7200)
    assert ApplicationModel(hinted).wall_seconds([Setting()]).medians()[0] == pytest.approx(3600, rel=0.05)
    seen = [Observation(setting=Setting(), wall_seconds=10.0)] * 5
    assert ApplicationModel(hinted, seen).wall_seconds([Setting()]).medians()[0] == pytest.approx(10, rel=0.1)


def test_records_are_small_in_a_file() -> None:
    assert len(msgspec.json.encode(Observation(setting=Setting(), wall_seconds=1.0))) < 60
