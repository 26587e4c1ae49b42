"""Inputs given as arguments, `--name value`, by the inputs that a process declares."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from cwlbalsam.cwl.records import ArrayType, EnumType, Field, Primitive, RecordType, Type, UnionType
from cwlbalsam.cwl.types import INT, LONG, accepts_null, without_null
from cwlbalsam.errors import DocumentError, Problem, did_you_mean

WHOLE = frozenset({"int", "long"})
REAL = frozenset({"float", "double"})
FILES = frozenset({"File", "Directory"})
RANGES = {"int": INT, "long": LONG}
TRUTH = {"true": True, "false": False}


def parse_arguments(
    inputs: Sequence[Field], arguments: Sequence[str], reserved: Collection[str] = ()
) -> dict[str, Any]:
    """The values of `--name value`, `--name=value`, `--flag`, `--no-flag`, `--record.field value`.

    An array's option is repeated, one item each. Raises DocumentError with every mistake. reserved: options that are
    no inputs because they are the command's.
    """
    reader = _Reader(inputs, reserved)
    reader.read(list(arguments))
    if reader.problems:
        raise DocumentError(reader.problems)
    return reader.values


def wants_help(inputs: Sequence[Field], arguments: Sequence[str]) -> bool:
    """Whether `--help` or `-h` is asked for; an input of that name comes first."""
    names = {field.name for field in inputs}
    return ("--help" in arguments and "help" not in names) or ("-h" in arguments and "h" not in names)


def describe_inputs(inputs: Sequence[Field], document: str) -> str:
    """The help text for a document's inputs."""
    lines = [f"Inputs of {document}, in a job file or as arguments:", ""]
    for field in inputs:
        needed = "" if accepts_null(field.type) or field.default is not None else " (required)"
        lines.append(f"  --{field.name} {type_name(field.type)}{needed}")
        lines += [f"      {line}" for line in (field.doc or field.label).splitlines()]
        if field.default is not None:
            lines.append(f"      default: {json.dumps(field.default)}")
    return "\n".join(lines if inputs else [f"{document} has no inputs."])


def type_name(kind: Type) -> str:
    """A type in CWL's short form: `int`, `File[]`, `string?`, `a|b|c` for an enum."""
    if isinstance(kind, Primitive):
        return kind.name
    if isinstance(kind, ArrayType):
        inner = type_name(kind.items)
        return f"({inner})[]" if isinstance(kind.items, UnionType | EnumType) else f"{inner}[]"
    if isinstance(kind, EnumType):
        return "|".join(kind.symbols)
    if isinstance(kind, RecordType):
        return "{" + ", ".join(f"{field.name}: {type_name(field.type)}" for field in kind.fields) + "}"
    inner = " or ".join(type_name(option) for option in without_null(kind))
    return f"{inner}?" if accepts_null(kind) else inner


class _Option(Struct, frozen=True):
    """path: the input's name, then names of record fields."""

    path: tuple[str, ...]
    type: Type


def _list_options(inputs: Sequence[Field]) -> dict[str, _Option]:
    """Options by name. An input's own name comes before a record's field that looks the same."""
    options = {field.name: _Option((field.name,), field.type) for field in inputs}
    waiting = list(options.values())
    while waiting:
        option = waiting.pop()
        for kind in without_null(option.type):
            for field in kind.fields if isinstance(kind, RecordType) else ():
                inner = _Option((*option.path, field.name), field.type)
                options.setdefault(".".join(inner.path), inner)
                waiting.append(inner)
    return options


class _Reader:
    def __init__(self, inputs: Sequence[Field], reserved: Collection[str]) -> None:
        self.reserved = reserved
        self.array = ""  # the array whose item was read last
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.options = _list_options(inputs)

    def read(self, arguments: list[str]) -> None:
        arguments.reverse()
        while arguments:
            word = arguments.pop()
            written, equals, text = word.partition("=")
            name = written.lstrip("-")
            if not written.startswith("-") or not name:
                hint = "a job file comes right after the document, then --name value"
                hint = f"repeat --{self.array} for each item: --{self.array} '{word}'" if self.array else hint
                self.problems.append(Problem("", f"unexpected argument '{word}'", hint))
            elif name in self.options:
                self.read_value(name, text if equals else None, arguments)
            elif self.is_flag(flag := name.removeprefix("no").removeprefix("-")) and not equals:
                self.store(flag, "false")
            else:
                self.complain_unknown(name, written)
                if not equals and arguments and not arguments[-1].startswith("-"):
                    arguments.pop()

    def is_flag(self, name: str) -> bool:
        return name in self.options and _is_boolean(self.options[name].type)

    def read_value(self, name: str, text: str | None, arguments: list[str]) -> None:
        if text is None and self.is_flag(name):
            text = arguments.pop() if arguments and arguments[-1] in TRUTH else "true"
        elif text is None and arguments:
            text = arguments.pop()
        if text is None:
            self.problems.append(Problem("", f"--{name} needs a value: {type_name(self.options[name].type)}"))
        else:
            self.store(name, text)

    def store(self, name: str, text: str) -> None:
        option = self.options[name]
        present = without_null(option.type)
        array = present[0] if len(present) == 1 and isinstance(present[0], ArrayType) else None
        self.array = name if array else ""
        try:
            value = convert(array.items if array else option.type, text)
        except ValueError as error:
            self.problems.append(Problem("", f"--{name}: {error}"))
            return
        target = self.values
        for part in option.path[:-1]:
            inner = target.get(part)
            target[part] = target = inner if isinstance(inner, dict) else {}
        if array:
            target.setdefault(option.path[-1], []).append(value)
        else:
            target[option.path[-1]] = value

    def complain_unknown(self, name: str, written: str) -> None:
        known = f"inputs: {', '.join(self.options) or 'none'}"
        hint = did_you_mean(name, self.options, known, shown=lambda option: f"'--{option}'")
        if written in self.reserved:
            hint = f"{written} is an option of the command: write it before the document"
        self.problems.append(Problem("", f"the document has no input '{name}'", hint))


def _is_boolean(kind: Type) -> bool:
    present = without_null(kind)
    return len(present) == 1 and isinstance(present[0], Primitive) and present[0].name == "boolean"


def convert(kind: Type, text: str) -> Any:
    """The value that `text` means for a type. Raises ValueError, which says what was expected."""
    if isinstance(kind, UnionType):
        return _convert_union(kind, text)
    if isinstance(kind, EnumType):
        if text not in kind.symbols:
            raise ValueError(f"'{text}' is not one of {', '.join(kind.symbols)}")
        return text
    if isinstance(kind, ArrayType | RecordType):
        return _convert_structure(kind, text)
    return _convert_primitive(kind.name, text)


def _convert_primitive(name: str, text: str) -> Any:
    if name == "string":
        return text
    if name in FILES:
        loaded = _load(text) if text.lstrip().startswith("{") else None
        if isinstance(loaded, dict):
            if loaded.get("class") != name:
                raise ValueError(f"'{text}' is not {_with_article(name)}")
            return loaded
        return _file(name, text)
    if name == "Any":
        loaded = _load(text)
        return text if loaded is None and text != "null" else loaded
    try:
        if name in WHOLE:
            number = int(text)
            if not -RANGES[name] <= number < RANGES[name]:
                raise ValueError
            return number
        if name in REAL:
            return float(text)
        return TRUTH[text] if name == "boolean" else {"null": None}[text]
    except (ValueError, KeyError):
        raise ValueError(f"'{text}' is not {_with_article(name)}") from None


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _file(name: str, text: str) -> dict[str, Any]:
    return {"class": name, "location" if "://" in text else "path": text}


def _convert_union(kind: UnionType, text: str) -> Any:
    present = without_null(kind)
    if len(present) == 1:
        return convert(present[0], text)
    is_object = text.lstrip().startswith("{")
    for option in sorted(present, key=lambda option: _vagueness(option, is_object)):
        try:
            return convert(option, text)
        except ValueError:
            continue
    raise ValueError(f"'{text}' is not {type_name(kind)}")


def _vagueness(kind: Type, is_object: bool) -> int:
    """Options that take nearly every text are tried last. Beside a string, a File must be written as an object."""
    order = {"null": 0, "boolean": 0, "int": 1, "long": 2, "float": 3, "double": 3, "Any": 6, "string": 7}
    if isinstance(kind, Primitive):
        return order.get(kind.name, 4 if is_object else 8)
    return 5


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _convert_structure(kind: ArrayType | RecordType, text: str) -> Any:
    from cwlbalsam.errors import UserError
    from cwlbalsam.service.jobfile import TextFile, parse_tree

    try:
        loaded = parse_tree(TextFile("argument", "", text))
    except UserError as error:
        raise ValueError(f"'{text}' is not {type_name(kind)} in JSON ({error})") from None
    if not isinstance(loaded, list if isinstance(kind, ArrayType) else dict):
        raise ValueError(f"'{text}' is not {type_name(kind)} in JSON")
    return loaded
