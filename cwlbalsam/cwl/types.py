"""Does a value have a type: all mistakes at once, each named by its path."""

from collections.abc import Iterator
from typing import Any

from cwlbalsam.cwl.records import ArrayType, EnumType, Primitive, RecordType, Type, UnionType
from cwlbalsam.cwl.values import summary

INT = 2**31
LONG = 2**63

NULL = Primitive(name="null")

Path = tuple[str | int, ...]


def options_of(kind: Type) -> tuple[Type, ...]:
    """The types of a union, or the type alone."""
    return kind.options if isinstance(kind, UnionType) else (kind,)


def accepts_null(kind: Type) -> bool:
    """Whether a parameter of this type may be left out."""
    return NULL in options_of(kind)


def without_null(kind: Type) -> tuple[Type, ...]:
    """The types of a union but for null."""
    return tuple(option for option in options_of(kind) if option != NULL)


def matches(value: Any, kind: Type) -> bool:
    """True if the value has the type; fields that a record type does not have do not count."""
    if isinstance(kind, Primitive):
        return _is(value, kind.name)
    if isinstance(kind, UnionType):
        return any(matches(value, option) for option in kind.options)
    if isinstance(kind, ArrayType):
        items = kind.items
        return isinstance(value, list) and all(matches(item, items) for item in value)
    if isinstance(kind, EnumType):
        return isinstance(value, str) and value in kind.symbols
    return isinstance(value, dict) and all(matches(value.get(field.name), field.type) for field in kind.fields)


def _is(value: Any, name: str) -> bool:
    found = type(value)
    if name == "string":
        return found is str
    if name in {"File", "Directory"}:
        return found is dict and value.get("class") == name
    if name == "int":
        return found is int and -INT <= value < INT
    if name == "boolean":
        return found is bool
    if name == "null":
        return value is None
    if name == "Any":
        return value is not None
    if name == "long":
        return found is int and -LONG <= value < LONG
    return found is int or found is float


def check(value: Any, kind: Type, where: str) -> list[str]:
    """What is wrong with a value, each problem led by its path (`inputs.reads[2].depth: ...`); [] if nothing is."""
    return [f"{where}{show_path(path)}: {message}" for path, message in mistakes(value, kind)]


def show_path(path: Path) -> str:
    """`[2].depth` for a path inside a value."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def mistakes(value: Any, kind: Type, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What is wrong with a value, each problem with its path inside the value."""
    if matches(value, kind):
        return
    if isinstance(kind, ArrayType) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from mistakes(item, kind.items, (*path, index))
    elif isinstance(kind, RecordType) and isinstance(value, dict) and "class" not in value:
        for field in kind.fields:
            if field.name in value:
                yield from mistakes(value[field.name], field.type, (*path, field.name))
            elif not matches(None, field.type):
                yield (*path, field.name), f"missing, expected {describe(field.type)}"
    elif isinstance(kind, UnionType) and (option := _meant(value, kind)) is not None:
        yield from mistakes(value, option, path)
    else:
        yield path, f"expected {describe(kind)}, got {name_value(value)}"


def _meant(value: Any, kind: UnionType) -> Type | None:
    """The one option of the value's shape, so that its inner mistakes can be named."""
    shape = ArrayType if isinstance(value, list) else RecordType if isinstance(value, dict) else None
    if shape is None or (isinstance(value, dict) and "class" in value):
        return None
    options = [option for option in kind.options if isinstance(option, shape)]
    return options[0] if len(options) == 1 else None


def describe(kind: Type) -> str:
    """The type in words close to CWL's: `File?`, `int[]`, `one of 'a', 'b'`."""
    if isinstance(kind, Primitive):
        return kind.name
    if isinstance(kind, ArrayType):
        inner = describe(kind.items)
        return f"array of ({inner})" if " " in inner else inner + "[]"
    if isinstance(kind, EnumType):
        return "one of " + ", ".join(map(repr, kind.symbols[:20])) + (", ..." if len(kind.symbols) > 20 else "")
    if isinstance(kind, RecordType):
        return "record with " + ", ".join(field.name for field in kind.fields)
    rest = without_null(kind)
    text = " or ".join(describe(option) for option in rest)
    if len(rest) == len(kind.options):
        return text
    return text + "?" if len(rest) == 1 and " " not in text else text + " or null"


def name_value(value: Any) -> str:
    """A value in CWL's words, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"{'int' if isinstance(value, int) else 'float'} {value!r}"
    if isinstance(value, str):
        return f"string {summary(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if value.get("class") in ("File", "Directory"):
        return f"{value['class']} {summary(value.get('location') or value.get('basename'))}"
    if "class" in value:
        return f"a record of class {summary(value['class'])}"
    return f"a record with {', '.join(map(str, value)) or 'no fields'}"


def unknown_fields(value: Any, kind: Type, where: str) -> Iterator[str]:
    """Fields that the record types do not have: worth a warning, no mistake."""
    if isinstance(kind, UnionType):
        kind = next((option for option in kind.options if matches(value, option)), kind)
    if isinstance(kind, ArrayType) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(item, kind.items, f"{where}[{index}]")
    elif isinstance(kind, RecordType) and isinstance(value, dict):
        known = {field.name: field for field in kind.fields}
        for name, item in value.items():
            if name not in known:
                yield f"{where}.{name}: the record type has no such field"
            else:
                yield from unknown_fields(item, known[name].type, f"{where}.{name}")
