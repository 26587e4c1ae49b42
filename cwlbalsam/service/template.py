"""A job file to fill in, from the inputs that a document declares."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cwlbalsam.cwl.records import ArrayType, EnumType, Field, Primitive, RecordType, Type
from cwlbalsam.cwl.types import accepts_null, without_null
from cwlbalsam.service.input_arguments import type_name

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
UNUSUAL = re.compile(r"[^\x20-\x7e]")
RESERVED = frozenset(
    {"null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "yes", "no", "on", "off"}
)
EXAMPLES: dict[str, Any] = {
    "null": None,
    "Any": None,
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.1,
    "double": 0.1,
    "string": "a_string",
    "File": {"class": "File", "path": "a/file/path"},
    "Directory": {"class": "Directory", "path": "a/directory/path"},
}


def make_template(inputs: Sequence[Field]) -> str:
    """YAML with a value for each input: its default, null if it may be left out, else an example of its type."""
    lines: list[str] = []
    for field in inputs:
        lines += [f"# {_one_line(line)}".rstrip() for line in (field.doc or field.label).splitlines()]
        lines += _entry(field)
    return "\n".join(lines or ["{}"]) + "\n"


def _entry(field: Field) -> Iterator[str]:
    note = type_name(field.type)
    if field.default is not None:
        value, note = field.default, f"{note}; the default"
    elif accepts_null(field.type):
        value, note = None, f"{note}; for example {json.dumps(example(field.type))}"
    else:
        value = example(field.type)
    first, *rest = _write(value)
    yield f"{_key(field.name)}:{first}  # {_one_line(note)}"
    yield from (f"  {line}" for line in rest)


def example(kind: Type) -> Any:
    """A value of a type; of a union, of its first option that is not null."""
    if isinstance(kind, Primitive):
        return EXAMPLES[kind.name]
    if isinstance(kind, ArrayType):
        return [example(kind.items)]
    if isinstance(kind, EnumType):
        return kind.symbols[0] if kind.symbols else None
    if isinstance(kind, RecordType):
        return {field.name: example(field.type) for field in kind.fields}
    options = without_null(kind)
    return example(options[0]) if options else None


def _write(value: Any) -> list[str]:
    """Lines of a value after `key:`; the first one continues the key's line, the others are to be indented."""
    if isinstance(value, dict) and value:
        lines = [""]
        for key, item in value.items():
            first, *rest = _write(item)
            lines += [f"{_key(key)}:{first}", *(f"  {line}" for line in rest)]
        return lines
    if isinstance(value, list) and value:
        lines = [""]
        for item in value:
            first, *rest = _write(item)
            lines += [f"-{first}" if first else f"- {rest.pop(0)}", *(f"  {line}" for line in rest)]
        return lines
    plain = isinstance(value, str) and PLAIN_TEXT.fullmatch(value) and value not in RESERVED
    return [f" {value if plain else _quote(value)}"]


def _key(name: str) -> str:
    return name if PLAIN_KEY.fullmatch(name) and name not in RESERVED else _quote(name)


def _quote(value: Any) -> str:
    """A scalar as JSON, which YAML reads if what cannot be printed is escaped."""
    return UNUSUAL.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else f"\\U{ord(match[0]):08x}"


def _one_line(text: str) -> str:
    return " ".join(UNUSUAL.sub(lambda match: match[0] if match[0].isprintable() else " ", text).split())
