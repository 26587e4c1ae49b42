from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from cwlbalsam.errors import JobError
from cwlbalsam.jobs.references import (
    NULL,
    Const,
    Default,
    Elements,
    Item,
    ListOf,
    Merge,
    Pick,
    Port,
    Tree,
    array_items,
    is_array,
    is_null,
    pack_array,
    pack_map,
    pack_trees,
    parents,
    resolve,
    unpack_trees,
)


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def unpacked(raw: Raw) -> Any:
    return msgspec.msgpack.decode(raw)


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)
OUTPUTS = st.lists(VALUES, min_size=1, max_size=6)  # job i's port "out" holds the i-th


def trees(jobs: int) -> st.SearchStrategy[Tree]:
    ports = st.integers(0, jobs - 1).map(lambda job: Port(job, "out"))
    leaves: st.SearchStrategy[Tree] = ports | VALUES.map(lambda value: Const(packed(value)))

    def around(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        several = st.lists(inner, max_size=4).map(tuple)
        return st.one_of(
            several.map(ListOf),
            st.builds(Merge, st.sampled_from(["nested", "flattened"]), several),
            st.builds(Pick, st.sampled_from(["first_non_null", "the_only_non_null", "all_non_null"]), inner),
            st.builds(Default, inner, VALUES.map(packed)),
            st.builds(Item, inner, st.lists(st.integers(0, 2), max_size=2).map(tuple)),
        )

    return st.recursive(leaves, around, max_leaves=6)


class NoValueError(Exception):
    pass


def read_by_the_specification(tree: Tree, outputs: list[Any]) -> Any:
    """The specification's words on decoded values."""
    match tree:
        case Const(value):
            return unpacked(value)
        case Port(job, _):
            return outputs[job]
        case Item(inner, path):
            value = read_by_the_specification(inner, outputs)
            for index in path:
                if not isinstance(value, list) or index >= len(value):
                    raise NoValueError
                value = value[index]
            return value
        case ListOf(items) | Merge("nested", items):
            return [read_by_the_specification(item, outputs) for item in items]
        case Merge(_, items):
            values = [read_by_the_specification(item, outputs) for item in items]
            return [element for value in values for element in (value if isinstance(value, list) else [value])]
        case Default(inner, default):
            value = read_by_the_specification(inner, outputs)
            return unpacked(default) if value is None else value
        case Pick(method, inner):
            value = read_by_the_specification(inner, outputs)
            if not isinstance(value, list):
                return value
            found = [element for element in value if element is not None]
            if method == "all_non_null":
                return found
            if not found or (method == "the_only_non_null" and len(found) > 1):
                raise NoValueError
            return found[0]


@given(st.data(), OUTPUTS)
def test_resolving_packed_values_agrees_with_the_specification_on_decoded_ones(data: Any, outputs: list[Any]) -> None:
    tree = data.draw(trees(len(outputs)))
    values = [packed(value) for value in outputs]

    def lookup(job: int, port: str) -> Raw:
        assert port == "out"
        return values[job]

    try:
        expected = packed(read_by_the_specification(tree, outputs))
    except NoValueError:
        for elements in (None, Elements(lookup)):
            with pytest.raises(JobError):
                resolve(tree, lookup, elements)
    else:
        # Compared as bytes: 1, 1.0 and true are equal in Python and different in CWL.
        assert bytes(resolve(tree, lookup)) == bytes(expected)
        assert bytes(resolve(tree, lookup, Elements(lookup))) == bytes(expected)


@given(st.data(), st.integers(1, 5))
def test_trees_survive_the_store_and_name_the_parents_they_read(data: Any, jobs: int) -> None:
    tree = data.draw(trees(jobs))
    again = unpack_trees(pack_trees({"x": tree}))["x"]
    assert pack_trees({"x": again}) == pack_trees({"x": tree})
    read: set[int] = set()

    def lookup(job: int, port: str) -> Raw:
        read.add(job)
        return packed([[[1]]])

    try:
        resolve(again, lookup)
    except JobError:
        assert read <= parents(tree)
    else:
        assert read == parents(tree)


@given(VALUES)
def test_the_first_byte_tells_nulls_and_arrays(value: Any) -> None:
    assert is_null(packed(value)) == (value is None)
    assert is_array(packed(value)) == isinstance(value, list)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 65_535, 65_536, 100_000])
def test_arrays_and_maps_of_every_length_are_packed_as_msgspec_packs_them(length: int) -> None:
    items = [packed(index) for index in range(length)]
    assert bytes(pack_array(items)) == msgspec.msgpack.encode(list(range(length)))
    assert array_items(pack_array(items)) == items
    named = {str(index): item for index, item in enumerate(items)}
    assert unpacked(pack_map(named)) == {str(index): index for index in range(length)}


def test_the_jobs_of_a_wide_scatter_split_its_array_once() -> None:
    lookups = 0

    def lookup(job: int, port: str) -> Raw:
        nonlocal lookups
        lookups += 1
        return packed([list(range(100))] * 100)

    elements = Elements(lookup)
    found = [resolve(Item(Port(7, "out"), (i, j)), lookup, elements) for i in range(100) for j in range(100)]
    assert [unpacked(raw) for raw in found] == list(range(100)) * 100
    assert lookups == 1
    elements.forget(7)
    resolve(Item(Port(7, "out"), (0,)), lookup, elements)
    assert lookups == 2


def test_picking_nothing_names_the_port_and_the_rule() -> None:
    tree = Pick("first_non_null", Merge("nested", (Const(NULL), Const(NULL))), name="reads")
    with pytest.raises(JobError, match="'reads': pickValue first_non_null: all 2 values are null"):
        resolve(tree, lambda job, port: NULL)
