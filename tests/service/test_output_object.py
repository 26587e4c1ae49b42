import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.packed import pack
from cwlbalsam.service.output_object import json_pieces, to_json

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(-1e6, 1e6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


def printed(outputs: dict[str, Any]) -> str:
    return b"".join(json_pieces(pack(outputs))).decode()


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_the_pieces_are_the_indented_json_of_the_whole(outputs: dict[str, Any]) -> None:
    assert json.loads(printed(outputs)) == outputs
    assert printed(outputs) == to_json(outputs).decode()


def test_whole_numbers_beyond_64_bits_become_integers_again_and_files_get_a_path() -> None:
    file = {"class": "File", "location": "file:///a%20b"}
    found = json.loads(printed({"n": [1e30], "f": [file]}))
    assert found == {"n": [10**30], "f": [{**file, "path": "/a b"}]}
