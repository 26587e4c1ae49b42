"""Values that stay packed, but for the element that is looked at: an output object may hold 100,000 Files."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.jobs.references import array_items, is_array, pack_array

_CONTAINERS = bytes(first in (0xDC, 0xDD, 0xDE, 0xDF) or 0x80 <= first <= 0x9F for first in range(256))
"""By the first byte of a msgpack value: whether it is an array or a map."""


def change_each(raw: Raw, change: Callable[[Any], None]) -> Raw:
    """The value after a change, in place, of each map in it that is in no other map."""
    if is_array(raw):
        items = array_items(raw)
        if any(_CONTAINERS[memoryview(item)[0]] for item in items):
            return pack_array([change_each(item, change) for item in items])
    elif _CONTAINERS[memoryview(raw)[0]]:
        value = msgspec.msgpack.decode(raw)
        change(value)
        return Raw(msgspec.msgpack.encode(value))
    return raw


def unpack(values: Mapping[str, Raw]) -> dict[str, Any]:
    return {name: msgspec.msgpack.decode(raw) for name, raw in values.items()}


def pack(values: Mapping[str, Any]) -> dict[str, Raw]:
    return {name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}
