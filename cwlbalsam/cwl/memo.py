"""Work done once for each record instead of once for each job."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def once_for_each(function: Callable[[K], V]) -> Callable[[K], V]:
    """Remember results by the argument's identity: records hold dicts, so they are not hashable, and live long."""
    results: dict[int, tuple[K, V]] = {}  # keeps the record alive, else another one could get its id

    def remembered(record: K) -> V:
        known = results.get(id(record))
        if known is not None:
            return known[1]
        result = function(record)
        results[id(record)] = (record, result)
        return result

    return remembered
