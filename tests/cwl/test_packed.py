from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from cwlbalsam.cwl.packed import change_each

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=30
)


def marked(value: Any) -> Any:
    """What `change_each` is to give with `mark`."""
    if isinstance(value, list):
        return [marked(entry) for entry in value]
    return value | {"mark": 1} if isinstance(value, dict) else value


def mark(value: Any) -> None:
    value["mark"] = 1


@given(VALUES)
def test_all_maps_that_are_in_no_other_are_changed_and_the_rest_stays(value: Any) -> None:
    changed = change_each(Raw(msgspec.msgpack.encode(value)), mark)
    assert msgspec.msgpack.decode(changed) == marked(value)
