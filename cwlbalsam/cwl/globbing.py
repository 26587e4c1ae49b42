"""Glob patterns inside one directory, which they never leave upwards."""

import fnmatch
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from cwlbalsam.errors import JobError

_MAGIC = re.compile(r"[*?\[]").search


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], Any]:
    return re.compile(fnmatch.translate(pattern)).match


def find(directory: str, pattern: str) -> list[str]:
    """Sorted paths relative to `directory` of all that match; "" is the directory itself.

    Like glob(3): a name with a leading dot is only found by a pattern with one. Links are not resolved here.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise JobError(f"glob pattern {pattern!r} leads out of the output directory")
    if "\0" in pattern:
        raise JobError(f"glob pattern {pattern!r} holds a NUL character")
    return sorted(_expand(directory, "", parts))


def _expand(directory: str, found: str, parts: list[str]) -> Iterator[str]:
    while parts and not _MAGIC(parts[0]):
        found = f"{found}/{parts[0]}" if found else parts[0]
        parts = parts[1:]
    if not parts:
        if not found or os.path.lexists(f"{directory}/{found}"):
            yield found
        return
    matches, hidden = _matcher(parts[0]), parts[0].startswith(".")
    try:
        names = os.listdir(f"{directory}/{found}")
    except OSError:
        return
    for name in names:
        if matches(name) and (hidden or not name.startswith(".")):
            below = f"{found}/{name}" if found else name
            if len(parts) == 1:
                yield below
            else:
                yield from _expand(directory, below, parts[1:])
