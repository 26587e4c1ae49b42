"""Reference trees: what a job reads, as references to what other jobs made, never as copied data.

Values are msgpack and stay so: resolving joins and splits arrays by their headers and copies the elements' bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.errors import JobError

PickMethod = Literal["first_non_null", "the_only_non_null", "all_non_null"]
MergeMethod = Literal["nested", "flattened"]
Lookup = Callable[[int, str], Raw]

NULL = Raw(b"\xc0")


class Const(Struct, frozen=True, gc=False, tag="const"):
    """A value known when the tree was made."""

    value: Raw


class Port(Struct, frozen=True, gc=False, tag="port"):
    """An output of a job."""

    job: int
    port: str


class Item(Struct, frozen=True, gc=False, tag="item"):
    """An element of an array, at one index for each dimension: what one job of a scatter reads of a scattered input."""

    tree: "Tree"
    path: tuple[int, ...]


class ListOf(Struct, frozen=True, gc=False, tag="list"):
    """An array with one element for each tree: a scatter's shape, nested where it has several dimensions."""

    items: tuple["Tree", ...]


class Merge(Struct, frozen=True, gc=False, tag="merge"):
    """linkMerge. nested: one element for each source; flattened: arrays give all their elements, others themselves."""

    method: MergeMethod
    items: tuple["Tree", ...]


class Pick(Struct, frozen=True, gc=False, tag="pick"):
    """pickValue, on an array; any other value is passed through as it is. name: of the port fed, for messages."""

    method: PickMethod
    tree: "Tree"
    name: str = ""


class Default(Struct, frozen=True, gc=False, tag="default"):
    """The tree's value, or `value` if that is null."""

    tree: "Tree"
    value: Raw


Tree = Const | Port | Item | ListOf | Merge | Pick | Default

_array = msgspec.msgpack.Decoder(list[Raw])
_trees = msgspec.msgpack.Decoder(dict[str, Tree])
_encoder = msgspec.msgpack.Encoder()


class Elements:
    """Elements of ports' arrays. Each array is split once, so the jobs of a scatter together cost its length."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._split: dict[int, dict[tuple[str, tuple[int, ...]], list[Raw]]] = {}

    def get(self, job: int, port: str, path: tuple[int, ...]) -> Raw:
        """Raises JobError if the path leads outside the array."""
        if not path:
            return self._lookup(job, port)
        arrays = self._split.setdefault(job, {})
        inside = port, path[:-1]
        if inside not in arrays:
            arrays[inside] = _split(self.get(job, port, path[:-1]))
        return _element(arrays[inside], path[-1])

    def forget(self, job: int) -> None:
        """Frees what is kept of a job's ports."""
        self._split.pop(job, None)


def resolve(tree: Tree, lookup: Lookup, elements: Elements | None = None) -> Raw:
    """The tree's value. lookup: the value of a finished job's port. elements: for the Items of ports, if given.

    Raises JobError where pickValue finds no value or too many, and where an Item leads outside its array.
    """
    match tree:
        case Const(value):
            return value
        case Port(job, port):
            return lookup(job, port)
        case Item(Port(job, port), path) if elements is not None:
            return elements.get(job, port, path)
        case Item(inner, path):
            return _item(resolve(inner, lookup, elements), path)
        case ListOf(items):
            return pack_array([resolve(item, lookup, elements) for item in items])
        case Merge(method, items):
            return _merge(method, [resolve(item, lookup, elements) for item in items])
        case Pick(method, inner, name):
            return _pick(method, resolve(inner, lookup, elements), name)
        case Default(inner, value):
            found = resolve(inner, lookup, elements)
            return value if is_null(found) else found


def parents(tree: Tree) -> set[int]:
    """The jobs whose outputs the tree names."""
    return {port.job for port in ports(tree)}


def ports(tree: Tree) -> Iterator[Port]:
    """The ports that the tree names, from left to right, with repetitions."""
    match tree:
        case Port():
            yield tree
        case Item(inner) | Pick(_, inner) | Default(inner):
            yield from ports(inner)
        case ListOf(items) | Merge(_, items):
            for item in items:
                yield from ports(item)


def pack_trees(trees: Mapping[str, Tree]) -> bytes:
    """What `BalsamJob.inputs` holds."""
    return _encoder.encode(trees)


def unpack_trees(packed: bytes) -> dict[str, Tree]:
    """The trees of `BalsamJob.inputs`, by port."""
    return _trees.decode(packed) if packed else {}


# --- msgpack -------------------------------------------------------------------------------------------------------


def is_null(raw: Raw) -> bool:
    return memoryview(raw)[0] == 0xC0


def is_array(raw: Raw) -> bool:
    first = memoryview(raw)[0]
    return first & 0xF0 == 0x90 or first in (0xDC, 0xDD)


def array_items(raw: Raw) -> list[Raw]:
    """The elements of an array, still packed. Raises msgspec.ValidationError if it is none."""
    return _array.decode(raw)


def pack_array(items: Sequence[Raw]) -> Raw:
    """The array of packed elements."""
    return Raw(b"".join([_header(len(items), 0x90, 0xDC), *items]))


def pack_map(items: Mapping[str, Raw]) -> Raw:
    """The map of packed values."""
    parts: list[bytes | Raw] = [_header(len(items), 0x80, 0xDE)]
    for key, value in items.items():
        parts += (_encoder.encode(key), value)
    return Raw(b"".join(parts))


def _header(length: int, short: int, long: int) -> bytes:
    """msgpack's head of an array or map; `long` is the code with a length of 16 bits, the next one has 32."""
    if length < 16:
        return bytes([short | length])
    if length < 1 << 16:
        return bytes([long]) + length.to_bytes(2, "big")
    return bytes([long + 1]) + length.to_bytes(4, "big")


# --- CWL's rules ---------------------------------------------------------------------------------------------------


def _item(raw: Raw, path: Iterable[int]) -> Raw:
    for index in path:
        raw = _element(_split(raw), index)
    return raw


def _split(raw: Raw) -> list[Raw]:
    if not is_array(raw):
        raise JobError("an element of a value that is not an array")
    return array_items(raw)


def _element(items: list[Raw], index: int) -> Raw:
    if not 0 <= index < len(items):
        raise JobError(f"element {index} of an array with {len(items)} elements")
    return items[index]


def _merge(method: MergeMethod, values: list[Raw]) -> Raw:
    if method == "nested":
        return pack_array(values)
    flat: list[Raw] = []
    for value in values:
        if is_array(value):
            flat += array_items(value)
        else:
            flat.append(value)
    return pack_array(flat)


def _pick(method: PickMethod, raw: Raw, name: str) -> Raw:
    if not is_array(raw):
        return raw
    items = array_items(raw)
    found = [item for item in items if not is_null(item)]
    if method == "all_non_null":
        return pack_array(found)
    port = f"'{name}': " if name else ""
    if not found:
        raise JobError(f"{port}pickValue {method}: all {len(items)} values are null")
    if method == "the_only_non_null" and len(found) > 1:
        raise JobError(f"{port}pickValue the_only_non_null: {len(found)} of {len(items)} values are not null")
    return found[0]
