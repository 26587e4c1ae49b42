"""Locations of files at sites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.places import HERE, is_at_site, location_at, split_location
from cwlbalsam.errors import JobError

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
paths = st.lists(names, min_size=1).map(lambda parts: "/" + "/".join(parts))


@given(st.sampled_from([HERE, "theta", "site-1.b"]), paths)
def test_a_location_tells_place_and_path(place: str, path: str) -> None:
    location = location_at(place, path)
    assert split_location(location) == (place, path)
    assert is_at_site(location) == bool(place)


@pytest.mark.parametrize("location", ["s3://bucket/key", "relative", "file://other/path", "site://a/%00"])
def test_what_is_no_place_is_refused(location: str) -> None:
    with pytest.raises(JobError):
        split_location(location)
