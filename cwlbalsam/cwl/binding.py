"""The command line: inputs and arguments in the order of the specification's sort keys."""

import shlex
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import (
    ArrayType,
    Binding,
    EnumType,
    Expr,
    Field,
    Primitive,
    RecordType,
    ToolProcess,
    Type,
    UnionType,
)
from cwlbalsam.cwl.types import matches
from cwlbalsam.errors import JobError

Key = tuple[tuple[int, int | str], ...]  # (0, position) sorts before (1, name)
_EMPTY = Binding()
_ANY = Primitive(name="Any")


class Part(NamedTuple):
    """One binding with the value it is applied to."""

    key: Key
    binding: Binding
    value: Any


def command_line(frame: Frame, process: ToolProcess) -> list[str]:
    """argv of a job; with ShellCommandRequirement it is a shell's, and quoted but for what says shellQuote: false."""
    parts = list(_argument_parts(frame, process))
    binder = _Binder(frame, parts)
    for field in bound_fields(process):
        value = frame.inputs[field.name]
        if value is not None:
            binder.bind(field.type, field.binding, value, _Where((), (), ((1, field.name),)))
    parts.sort(key=_key)
    if not process.requirements.shell:
        argv = list(process.base_command)
        for part in parts:
            argv.extend(_arguments(frame, part))
        return argv
    words = [shlex.quote(word) for word in process.base_command]
    for part in parts:
        arguments = _arguments(frame, part)
        words.extend(map(shlex.quote, arguments) if part.binding.shell_quote else arguments)
    return ["/bin/sh", "-c", " ".join(words)]


def _key(part: Part) -> Key:
    return part.key


@once_for_each
def bound_fields(process: ToolProcess) -> tuple[Field, ...]:
    """The inputs that can reach the command line."""
    return tuple(field for field in process.inputs if field.binding is not None or _is_bound(field.type))


def _is_bound(kind: Type) -> bool:
    if isinstance(kind, UnionType):
        return any(map(_is_bound, kind.options))
    if isinstance(kind, Primitive):
        return False
    if kind.binding is not None:
        return True
    if isinstance(kind, ArrayType):
        return _is_bound(kind.items)
    return isinstance(kind, RecordType) and any(
        field.binding is not None or _is_bound(field.type) for field in kind.fields
    )


def uses_raw_shell(process: ToolProcess) -> bool:
    """True if something may reach a shell unquoted."""
    return process.requirements.shell and _has_raw_binding(process)


@once_for_each
def _has_raw_binding(process: ToolProcess) -> bool:
    bindings = [item for item in process.arguments if isinstance(item, Binding)]
    for field in process.inputs:
        bindings.extend(_bindings(field.binding, field.type))
    return any(not binding.shell_quote for binding in bindings)


def _bindings(binding: Binding | None, kind: Type) -> Iterator[Binding]:
    if binding is not None:
        yield binding
    if isinstance(kind, UnionType):
        for option in kind.options:
            yield from _bindings(None, option)
    elif isinstance(kind, ArrayType):
        yield from _bindings(kind.binding, kind.items)
    elif isinstance(kind, RecordType):
        yield from _bindings(kind.binding, _ANY)
        for field in kind.fields:
            yield from _bindings(field.binding, field.type)
    elif not isinstance(kind, Primitive) and kind.binding is not None:
        yield kind.binding


# --- sort keys -----------------------------------------------------------------------------------------------------


def _argument_parts(frame: Frame, process: ToolProcess) -> Iterator[Part]:
    for index, argument in enumerate(process.arguments):
        if isinstance(argument, Binding):
            position = _position(frame, argument, None)
            yield Part(((0, position), (0, index)), argument, None)
        elif isinstance(argument, str):
            yield Part(((0, 0), (0, index)), _EMPTY, argument)
        else:
            yield Part(((0, 0), (0, index)), _value_from(argument), None)


@once_for_each
def _value_from(argument: Expr) -> Binding:
    return Binding(value_from=argument, place=argument.place)


def _position(frame: Frame, binding: Binding, value: Any) -> int:
    if isinstance(binding.position, int):
        return binding.position
    position = frame.evaluate(binding.position, value)
    if position is None:
        return 0
    if isinstance(position, bool) or not isinstance(position, int):
        raise wrong("'position'", "an integer", position, binding.position)
    return position


class _Where(NamedTuple):
    """Where in the inputs a value is: the keys of what encloses it, its index in an array, the name of its field."""

    base: Key
    lead: Key
    tail: Key

    def key(self, own: Key) -> Key:
        return self.lead + own + self.tail


class _Placed(NamedTuple):
    """A binding and its own part of the sort key."""

    binding: Binding
    own: Key


class _Binder:
    """Finds the bindings of a value and of all that it holds."""

    def __init__(self, frame: Frame, parts: list[Part]) -> None:
        self.frame = frame
        self.parts = parts

    def bind(self, kind: Type, binding: Binding | None, value: Any, where: _Where) -> None:
        self._bind_at(kind, self._placed(binding, value, where), value, where)

    def _placed(self, binding: Binding | None, value: Any, where: _Where) -> _Placed | None:
        if binding is None:
            return None
        return _Placed(binding, where.key(((0, _position(self.frame, binding, value)),)))

    def _bind_at(self, kind: Type, placed: _Placed | None, value: Any, where: _Where) -> None:
        if isinstance(kind, UnionType):
            chosen = next((option for option in kind.options if matches(value, option)), None)
            if chosen is None:
                raise JobError(f"no type of the union fits {value!r:.200}")
            self._bind_at(chosen, placed, value, where)
        elif not isinstance(kind, Primitive):
            self._bind_complex(kind, placed, value, where)
        elif placed is not None:
            if (
                kind.name == "Any"
                and isinstance(value, list)
                and placed.binding.value_from is None
                and placed.binding.item_separator is None
            ):
                self._bind_items(_ANY, placed, value, where._replace(base=where.base + placed.own))
            else:
                self._add(placed, value, where)

    def _bind_complex(
        self, kind: ArrayType | EnumType | RecordType, placed: _Placed | None, value: Any, where: _Where
    ) -> None:
        """The parameter's binding first, then its type's, then those of items or fields."""
        inner = kind.binding
        if placed is not None:
            where = self._add(placed, value, where)
            if placed.binding.value_from is not None:
                return
            if inner is None and isinstance(kind, ArrayType) and placed.binding.item_separator is None:
                inner = _EMPTY
        own = self._placed(inner, value, where)
        if isinstance(kind, ArrayType):
            self._bind_items(kind.items, own, value, where)
            return
        if own is not None:
            where = self._add(own, value, where)
        if isinstance(kind, RecordType):
            for field in kind.fields:
                if value.get(field.name) is not None:
                    inside = where._replace(tail=((1, field.name),))
                    self.bind(field.type, field.binding, value[field.name], inside)

    def _bind_items(self, kind: Type, placed: _Placed | None, items: Any, where: _Where) -> None:
        for index, item in enumerate(items):
            inside = where._replace(lead=((0, index),))
            again = None if placed is None else _Placed(placed.binding, inside.key(placed.own))
            self._bind_at(kind, again, item, inside)

    def _add(self, placed: _Placed, value: Any, where: _Where) -> _Where:
        """Add a part; what is inside of it sorts below it."""
        base = where.base + placed.own
        self.parts.append(Part(base, placed.binding, value))
        return where._replace(base=base)


# --- arguments -----------------------------------------------------------------------------------------------------


def _arguments(frame: Frame, part: Part) -> list[str]:
    """The words that one binding adds."""
    binding, value = part.binding, part.value
    if binding is _EMPTY and isinstance(value, str):
        return [value]
    if binding.value_from is not None:
        value = frame.evaluate(binding.value_from, value)
    prefix = binding.prefix
    if prefix is None and not binding.separate:
        raise JobError("'separate: false' makes sense only with a prefix", place=binding.place)
    lead = [prefix] if prefix is not None else []
    if value is None:
        return []
    if isinstance(value, bool):
        return lead if value else []
    if isinstance(value, list):
        if not value:
            return []
        if binding.item_separator is None:
            return lead + [text_of(item) for item in value] if binding.value_from is not None else lead
        text = binding.item_separator.join(map(text_of, value))
    elif isinstance(value, dict) and value.get("class") not in ("File", "Directory"):
        return lead
    else:
        text = text_of(value)
    if binding.separate or prefix is None:
        return [*lead, text]
    return [prefix + text]


def text_of(value: Any) -> str:
    """A value as a word of the command line; numbers as JavaScript's String() has them, but never with an
    exponent."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        path = value.get("path")
        if not isinstance(path, str):
            raise JobError(f"{value['class']} {value.get('basename')!r} has no path: it is not an input of this job")
        return path
    if isinstance(value, float):
        text = repr(value)
        text = format(Decimal(text), "f") if "e" in text else text
        return text.removesuffix(".0")
    return str(value)
