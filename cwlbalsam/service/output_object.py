"""Output objects for people and for JSON."""

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.values import Value, path_of
from cwlbalsam.jobs.references import array_items, is_array

INDENT = 4


def json_pieces(outputs: Mapping[str, Raw]) -> Iterator[bytes]:
    """An output object as indented JSON; in pieces, of which none is larger than an element of an array."""
    if not outputs:
        yield b"{}"
        return
    before = b"{"
    for name, raw in outputs.items():
        yield before + b"\n" + b" " * INDENT + to_json(name) + b": "
        yield from _pieces(raw, INDENT)
        before = b","
    yield b"\n}"


def _pieces(raw: Raw, indent: int) -> Iterator[bytes]:
    items = array_items(raw) if is_array(raw) else []
    if not items:
        text = to_json(spell_out(msgspec.msgpack.decode(raw)))
        yield text.replace(b"\n", b"\n" + b" " * indent)
        return
    before = b"["
    for item in items:
        yield before + b"\n" + b" " * (indent + INDENT)
        yield from _pieces(item, indent + INDENT)
        before = b","
    yield b"\n" + b" " * indent + b"]"


def to_json(value: Any) -> bytes:
    """Indented JSON. What UTF-8 cannot hold (odd file names) is escaped, integers may have more than 64 bits."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=INDENT)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, indent=INDENT, ensure_ascii=False).encode("utf-8", "backslashreplace")


def spell_out(value: Any) -> Any:
    """A value for people and for JSON: whole numbers beyond 64 bits, floats until here, become integers again.

    Files and directories on this machine get a `path` beside their `location`, as scripts around cwltool expect.
    """
    match value:
        case float() if abs(value) >= 2**63 and math.isfinite(value):
            return int(Decimal(repr(value)))
        case dict():
            spelled = {key: spell_out(entry) for key, entry in value.items()}
            if spelled.get("class") in ("File", "Directory") and _is_local(spelled):
                spelled["path"] = str(Path(path_of(spelled)))
            return spelled
        case list():
            return [spell_out(entry) for entry in value]
    return value


def _is_local(value: Value) -> bool:
    return str(value.get("location", "")).startswith("file:")
