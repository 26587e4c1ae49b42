"""Reads job orders and other small YAML or JSON files: from a path, an address or standard input, as a plain tree.

A tree holds dict, list, str, int, float, bool and None, whatever tags, anchors or keys the text used.
"""

import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from cwlbalsam.cwl.values import uri_of
from cwlbalsam.errors import UserError
from cwlbalsam.parser.address import is_address

STDIN = "-"
FETCH_SECONDS = 30.0
MAX_DEPTH = 100
SURROGATE = "\\ud"  # how the escape of one begins
FREE_NODES = 1_000_000  # beyond these, a text may not grow more than tenfold by its aliases


class TextFile(Struct, frozen=True):
    """A text and where it came from. uri: what its relative references are resolved against."""

    name: str
    uri: str
    text: str

    def place(self, path: Sequence[str | int] = ()) -> str:
        """`file:line:column` of the value at `path`, or of the nearest value around it.

        Parses the text once more, with positions: for messages only.
        """
        position = _find_position(self.text, path)
        return f"{self.name}:{position[0] + 1}:{position[1] + 1}" if position else self.name


def file_uri(path: str | os.PathLike[str]) -> str:
    """The absolute URI of a path; every character that means something in a URI is escaped."""
    return uri_of(absolute_path(path))


def absolute_path(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.fspath(path))  # noqa: PTH100 (resolve() would follow links)


def uri_path(uri: str) -> str:
    """The path that a `file:` URI means. An unescaped `#` or `?` in it belongs to the name, as cwltool has it."""
    parts = urlsplit(uri)
    name = parts.path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return unquote(name, errors="surrogateescape")


def read_file(name: str, base: Path) -> TextFile:
    """Reads `name`: a path (relative to the current directory), a `file:`, `http:` or `https:` address, or `-`."""
    if name == STDIN:
        return TextFile("standard input", file_uri(base) + "/", sys.stdin.read())
    if is_address(name):
        return TextFile(name, name, _fetch(name))
    path = uri_path(name) if name.startswith("file:") else name
    if Path(path).is_char_device() and not path.startswith(("/dev/fd/", "/dev/std", "/dev/null", "/dev/tty", "/proc/")):
        raise UserError(f"{path} is a device, not a file")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"no such file: {path}", hint=f"looked for {absolute_path(path)}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"not a text in UTF-8 (byte {error.start})", place=path) from error
    return TextFile(path, file_uri(path), text)


def _fetch(address: str) -> str:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(address, timeout=FETCH_SECONDS) as reply:  # noqa: S310 (http and https only, see is_address)
            return str(reply.read().decode("utf-8-sig"))
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"cannot fetch {address}: {getattr(error, 'reason', None) or error}") from error


def parse_tree(source: TextFile) -> Any:
    """The tree of a text in JSON or YAML 1.2. Raises UserError with the place of what is wrong."""
    if source.text.lstrip()[:1] in {"{", "["}:
        try:
            tree = json.loads(source.text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
            return _Plain(source).copy(tree, ()) if SURROGATE in source.text.lower() else tree
        except _DuplicateKeyError as error:
            place = source.place()
            raise UserError(f"key '{error}' appears twice in one object", place=place) from None
        except RecursionError:
            raise UserError("nested too deeply", place=source.name) from None
        except ValueError as error:  # YAML in flow style, or JSON with comments
            if source.name.endswith(".json") and isinstance(error, json.JSONDecodeError):
                return _parse_yaml(source, f"{source.name}:{error.lineno}:{error.colno}", error.msg)
    return _parse_yaml(source)


class _DuplicateKeyError(ValueError):
    pass


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_yaml(source: TextFile, json_place: str = "", json_message: str = "") -> Any:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        tree = _yaml().load(source.text)
    except (YAMLError, RecursionError, ValueError) as error:
        if json_place:
            raise UserError(f"syntax error: {json_message}", place=json_place) from None
        mark = (error.problem_mark or error.context_mark) if isinstance(error, MarkedYAMLError) else None
        place = f"{source.name}:{mark.line + 1}:{mark.column + 1}" if mark else source.name
        raise UserError(f"syntax error: {_yaml_message(error)}", place=place) from None
    return _Plain(source).copy(tree, ())


@cache
def _constructor() -> type:
    """A constructor of its own: ruamel's registers for everybody in this process."""
    from ruamel.yaml.constructor import SafeConstructor

    class PlainConstructor(SafeConstructor):
        pass

    PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
    return PlainConstructor


def _yaml() -> Any:
    """YAML 1.2 as cwltool reads it: dates stay text."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _constructor()
    return yaml


def _yaml_message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if type(error).__name__ == "DuplicateKeyError":
        return str(getattr(error, "problem", "duplicate key")).split(" with value")[0]
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    return ", ".join(part for part in (problem, context) if part) or str(error)


class _Plain:
    """Copies what a YAML loader made to plain values, so that no alias is shared and nothing unforeseen passes."""

    def __init__(self, source: TextFile) -> None:
        self.source = source
        self.left = FREE_NODES + 10 * len(source.text)

    def copy(self, value: Any, path: tuple[str | int, ...]) -> Any:
        self.left -= 1
        if self.left < 0 or len(path) > MAX_DEPTH:
            raise UserError("nested too deeply, or its aliases expand to too much", place=self.source.name)
        if isinstance(value, dict):
            return {self.key(key, path): self.copy(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.copy(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            return self.mend(value, path)
        if value is None or isinstance(value, bool | int | float):
            return value
        raise UserError(f"a value of type {type(value).__name__} is not JSON", place=self.source.place(path))

    def mend(self, text: str, path: tuple[str | int, ...]) -> str:
        """Joins surrogates, which YAML makes of JSON's escapes of rarer characters."""
        try:
            return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise UserError("half a character (a lone surrogate)", place=self.source.place(path)) from None

    def key(self, key: Any, path: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            raise UserError(f"key {key} must be text", place=self.source.place(path), hint=f"write '{key}' in quotes")
        return key


def _find_position(text: str, path: Sequence[str | int]) -> tuple[int, int] | None:
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    try:
        node = _yaml().compose(text)
    except (YAMLError, RecursionError, ValueError):
        return None
    if node is None:
        return None
    position = (node.start_mark.line, node.start_mark.column)
    for part in path:
        if isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            mark, node = found[0][0].start_mark, found[0][1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
        position = (mark.line, mark.column)
    return position
