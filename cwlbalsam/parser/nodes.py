"""Reading resolved nodes: short names, plain values, templates with their places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import Template
from cwlbalsam.errors import DocumentError, Problem
from cwlbalsam.parser.frontend import Document, place_of


def shortname(identifier: str) -> str:
    """The last part of an identifier: `doc.cwl#main/step/out` -> `out`."""
    parts = urlsplit(identifier)
    return (parts.fragment or parts.path).rpartition("/")[2]


def as_list(value: Any) -> list[Any]:
    """A list's items, None as no item, anything else as the only item."""
    if value is None:
        return []
    return [plain_scalar(entry) for entry in value] if isinstance(value, list) else [plain_scalar(value)]


def plain_scalar(value: Any) -> Any:
    """A scalar without what the YAML reader remembers of its spelling; anything else as it is.

    Integers beyond 64 bits become floats, as in every JSON reader that has no big integers.
    """
    match value:
        case bool() | None | Mapping() | list():
            return value
        case str():
            return str(value)
        case int():  # ruamel's ScalarBoolean is an int
            if type(value).__name__ == "ScalarBoolean":
                return bool(value)
            return int(value) if -(2**63) <= value < 2**64 else float(value)
        case float():
            # 1.23e5 is written without a fraction, and so are commands to see it.
            whole = getattr(value, "_exp", None) is not None and value.is_integer() and abs(value) < 2**63
            return int(value) if whole else float(value)
        case _:
            return str(value)


@dataclass(frozen=True)
class Node:
    """A mapping of a document, with the document it stands in."""

    data: Mapping[str, Any]
    document: Document

    @property
    def version(self) -> str:
        """The cwlVersion of the source file, not of whoever calls it."""
        return self.document.version

    def place(self, key: str | int | None = None) -> str:
        """`file:line:column` of a key of this mapping, or of the mapping."""
        return place_of(self.data, key, self.document)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, null counting as missing."""
        value = self.data.get(key)
        return default if value is None else plain_scalar(value)

    def child(self, data: Mapping[str, Any]) -> "Node":
        """A mapping inside this one."""
        return Node(data, self.document)

    def children(self, key: str) -> list["Node"]:
        """The mappings under a key that holds one or a list of them."""
        return [self.child(entry) for entry in as_list(self.data.get(key)) if isinstance(entry, Mapping)]

    def named_children(self, key: str) -> list["Node"]:
        """Children that are known by their names. Raises DocumentError if two have the same one."""
        found: dict[str, Node] = {}
        problems = []
        for entry in self.children(key):
            name = shortname(str(entry.get("id", "")))
            if name in found:
                where = found[name].place()
                problems.append(Problem(entry.place(), f"'{name}' is there twice under '{key}'", f"first at {where}"))
            found.setdefault(name, entry)
        if problems:
            raise DocumentError(problems)
        return list(found.values())

    def template(self, key: str, *, strip: bool = True) -> Template | None:
        """A string field that may hold expressions; None when it is missing."""
        value = self.data.get(key)
        return None if value is None else self.compile(value, key, strip=strip)

    def compile(self, value: Any, key: str | int | None = None, *, strip: bool = True) -> Template:
        """A string of this node that may hold expressions."""
        return compile_template(str(value), place=self.place(key), version=self.version, strip=strip)

    def value(self, key: str) -> Any:
        """A literal value, with the locations of its Files made absolute."""
        return plain_value(self.data.get(key), self.document.uri)


def plain_value(value: Any, base: str) -> Any:
    """A YAML value as plain JSON. A File's `path` becomes a `location`, resolved against the document."""
    if isinstance(value, Mapping):
        plain = {str(key): plain_value(entry, base) for key, entry in value.items()}
        if plain.get("class") in ("File", "Directory"):
            location = plain.get("location") or plain.pop("path", None)
            if isinstance(location, str):
                plain["location"] = urljoin(base, location)
        return plain
    if isinstance(value, list):
        return [plain_value(entry, base) for entry in value]
    return plain_scalar(value)
