"""The command line: inputs and arguments in the order of the specification's sort keys."""

import shlex
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import ArrayType, Binding, Expr, Field, Primitive, RecordType, ToolProcess, Type, UnionType
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
    """argv of a job. With ShellCommandRequirement it is a shell's; all is quoted but what says shellQuote: false."""
    parts = list(_argument_parts(frame, process))
    for field in bound_fields(process):
        value = frame.inputs[field.name]
        if value is not None:
            _bind(frame, field.type, field.binding, value, _Where((), (), ((1, field.name),)), parts)
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


def _bind(frame: Frame, kind: Type, binding: Binding | None, value: Any, where: _Where, parts: list[Part]) -> None:
    own = None if binding is None else where.key(((0, _position(frame, binding, value)),))
    _bind_at(frame, kind, binding, own, value, where, parts)


def _bind_at(
    frame: Frame, kind: Type, binding: Binding | None, own: Key | None, value: Any, where: _Where, parts: list[Part]
) -> None:
    """Bind a value whose own binding has the key `own`, and what it holds."""
    if isinstance(kind, UnionType):
        chosen = next((option for option in kind.options if matches(value, option)), None)
        if chosen is None:
            raise JobError(f"no type of the union fits {value!r:.200}")
        _bind_at(frame, chosen, binding, own, value, where, parts)
        return
    if isinstance(kind, Primitive):
        if kind.name == "Any":
            _bind_any(frame, binding, own, value, where, parts)
        elif binding is not None and own is not None:
            parts.append(Part(where.base + own, binding, value))
        return
    inner = kind.binding
    if binding is not None and own is not None:
        where = where._replace(base=where.base + own)
        parts.append(Part(where.base, binding, value))
        if binding.value_from is not None:
            return
        if inner is None and isinstance(kind, ArrayType) and binding.item_separator is None:
            inner = _EMPTY
    inner_own = None if inner is None else where.key(((0, _position(frame, inner, value)),))
    if isinstance(kind, ArrayType):
        _bind_items(frame, kind.items, inner, inner_own, value, where, parts)
        return
    if inner is not None and inner_own is not None:
        parts.append(Part(where.base + inner_own, inner, value))
        where = where._replace(base=where.base + inner_own)
    if isinstance(kind, RecordType):
        for field in kind.fields:
            if value.get(field.name) is not None:
                inside = where._replace(tail=((1, field.name),))
                _bind(frame, field.type, field.binding, value[field.name], inside, parts)


def _bind_items(
    frame: Frame, kind: Type, binding: Binding | None, own: Key | None, items: Any, where: _Where, parts: list[Part]
) -> None:
    for index, item in enumerate(items):
        inside = where._replace(lead=((0, index),))
        key = None if own is None else inside.key(own)
        _bind_at(frame, kind, binding, key, item, inside, parts)


def _bind_any(
    frame: Frame, binding: Binding | None, own: Key | None, value: Any, where: _Where, parts: list[Part]
) -> None:
    if binding is None or own is None:
        return
    if isinstance(value, list) and binding.value_from is None and binding.item_separator is None:
        _bind_items(frame, _ANY, binding, own, value, where, parts)
    else:
        parts.append(Part(where.base + own, binding, value))


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
    """A value as a word of the command line; numbers never with an exponent."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        path = value.get("path")
        if not isinstance(path, str):
            raise JobError(f"{value['class']} {value.get('basename')!r} has no path: it is not an input of this job")
        return path
    if isinstance(value, float):
        text = repr(value)
        return format(Decimal(text), "f") if "e" in text else text
    return str(value)
