"""Lists of hosts: Slurm's and Flux's brackets, and files with a line a slot."""

import re
from collections.abc import Iterable

LARGEST = 100_000
"""More hosts than any machine has: a foreign text does not fill our memory."""


def expand(text: str) -> list[str]:
    """`n[1-3,07],x` as n1 n2 n3 n07 x; what is no such list stands for itself. Several brackets multiply."""
    hosts = [host for part in _split(text) for host in _expand_one(part)]
    return hosts[:LARGEST]


def unique(hosts: Iterable[str]) -> list[str]:
    """Each once, in the order of their first appearance."""
    return list(dict.fromkeys(host for each in hosts if (host := each.strip())))


def _split(text: str) -> list[str]:
    """At the commas outside of brackets."""
    return [part for part in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text.strip()) if part]


def _expand_one(part: str) -> list[str]:
    names = [""]
    for literal, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", part):
        ends = [literal] if literal else [item for each in ranges.split(",") for item in _range(each)]
        if len(names) * len(ends) > LARGEST:
            return [part]
        names = [name + end for name in names for end in ends]
    return names


def _range(text: str) -> list[str]:
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    if not found:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < LARGEST:
        return [text]
    return [str(each).zfill(len(found[1])) for each in range(first, last + 1)]
