"""Types and parameters, lowered."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from cwlbalsam.cwl.records import (
    ArrayType,
    Binding,
    EnumType,
    Field,
    OutputBinding,
    Primitive,
    RecordType,
    SecondaryFile,
    Template,
    Type,
    UnionType,
)
from cwlbalsam.errors import DocumentError, Problem
from cwlbalsam.parser.nodes import Node, as_list, shortname

PRIMITIVES = {name: Primitive(name=name) for name in get_args(Primitive.__annotations__["name"])}

Side = Literal["input", "output"]


class TypeLowering:
    """Lowers types. `named` holds the nodes of all SchemaDefRequirement types seen so far, by identifier."""

    def __init__(self) -> None:
        self.named: dict[str, Node] = {}
        self._open: list[str] = []

    def define(self, requirement: Node) -> None:
        """Take over the types of a SchemaDefRequirement."""
        for node in requirement.children("types"):
            if node.get("name"):
                self.named[node.data["name"]] = node

    def type(self, value: Any, owner: Node, side: Side) -> Type:
        """A type of parameter or field `owner`."""
        if isinstance(value, str):
            return PRIMITIVES.get(value) or self._named(value, owner, side)
        if isinstance(value, Mapping):
            return self._compound(owner.child(value), side)
        if not isinstance(value, list):
            raise DocumentError([Problem(owner.place("type"), f"this is not a type: {value!r:.80}")])
        options: list[Type] = []
        for entry in value:
            lowered = self.type(entry, owner, side)
            options.extend(lowered.options if isinstance(lowered, UnionType) else [lowered])
        unique = list(dict.fromkeys(options))
        return unique[0] if len(unique) == 1 else UnionType(options=tuple(unique))

    def field(self, node: Node, side: Side) -> Field:
        """A parameter of a process or a field of a record."""
        name = shortname(node.get("id") or node.get("name") or "")
        if node.get("type") is None:
            raise DocumentError([Problem(node.place(), f"parameter '{name}' has no type")])
        binding = node.child(node.get("inputBinding", {}))
        return Field(
            name=name,
            type=self.type(node.data["type"], node, side),
            default=node.value("default"),
            binding=lower_binding(binding) if "inputBinding" in node.data else None,
            output=_output_binding(node.child(node.data["outputBinding"])) if node.get("outputBinding") else None,
            secondary_files=_secondary_files(node, side),
            format=tuple(node.compile(entry, "format") for entry in as_list(node.get("format"))),
            load_contents=bool(node.get("loadContents") or binding.get("loadContents")),
            load_listing=node.get("loadListing"),
            streamable=bool(node.get("streamable")),
            label=str(node.get("label", "")),
            doc="\n".join(map(str, as_list(node.get("doc")))),
            place=node.place(),
        )

    def _named(self, name: str, owner: Node, side: Side) -> Type:
        node = self.named.get(name)
        if node is None and isinstance(found := owner.document.index.get(name), Mapping):
            node = owner.child(found)
        if node is None:
            raise DocumentError([Problem(owner.place("type"), f"type '{shortname(name)}' is not defined")])
        if name in self._open:
            raise DocumentError([Problem(owner.place("type"), f"type '{shortname(name)}' contains itself")])
        self._open.append(name)
        try:
            return self.type(node.data, node, side)
        finally:
            self._open.pop()

    def _compound(self, node: Node, side: Side) -> Type:
        binding = lower_binding(node.child(node.data["inputBinding"])) if node.get("inputBinding") else None
        name = shortname(node.get("name", ""))
        match node.get("type"):
            case "array":
                return ArrayType(items=self.type(node.data["items"], node, side), binding=binding)
            case "record":
                fields = tuple(self.field(entry, side) for entry in node.children("fields"))
                return RecordType(fields=fields, name=name, binding=binding)
            case "enum":
                symbols = tuple(shortname(symbol) for symbol in node.data["symbols"])
                return EnumType(symbols=symbols, name=name, binding=binding)
            case other:
                return self.type(other, node, side)


def lower_binding(node: Node) -> Binding:
    """An inputBinding, or an entry of `arguments`."""
    position = node.get("position", 0)
    return Binding(
        position=int(position) if isinstance(position, int) else _position(node, position),
        prefix=node.get("prefix"),
        separate=node.get("separate", True),
        item_separator=node.get("itemSeparator"),
        value_from=node.template("valueFrom"),
        shell_quote=node.get("shellQuote", True),
        place=node.place(),
    )


def _position(node: Node, text: str) -> Any:
    compiled = node.compile(text, "position")
    if isinstance(compiled, str):
        raise DocumentError([Problem(node.place("position"), f"position is no integer or expression: {text!r}")])
    return compiled


def _output_binding(node: Node) -> OutputBinding:
    glob: tuple[Template, ...] = tuple(node.compile(entry, "glob") for entry in as_list(node.get("glob")))
    return OutputBinding(
        glob=glob,
        output_eval=node.template("outputEval"),
        load_contents=bool(node.get("loadContents")),
        load_listing=node.get("loadListing"),
        place=node.place(),
    )


def _secondary_files(node: Node, side: Side) -> tuple[SecondaryFile, ...]:
    value = node.get("secondaryFiles", [])
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(_secondary_file(node, entry, side) for entry in entries if entry is not None)


def _secondary_file(node: Node, entry: Any, side: Side) -> SecondaryFile:
    required: Any = None
    if isinstance(entry, Mapping):
        inner = node.child(entry)
        required = inner.get("required")
        if isinstance(required, str):
            required = inner.compile(required, "required")
        entry = entry["pattern"]
    if required is None:
        required = side == "input"
    return SecondaryFile(
        pattern=node.compile(entry, "secondaryFiles"), required=required, place=node.place("secondaryFiles")
    )
