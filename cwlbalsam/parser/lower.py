"""Bodies of processes, lowered once each, without anything their callers say."""

import hashlib
import re
from collections.abc import Set
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.records import (
    Expr,
    ExpressionProcess,
    Field,
    OperationProcess,
    Process,
    ToolProcess,
    WorkflowProcess,
)
from cwlbalsam.errors import DocumentError, Problem
from cwlbalsam.parser.nodes import Node, as_list, shortname
from cwlbalsam.parser.types import TypeLowering, lower_binding

# What changes no result: where it stood, and what people read.
COSMETIC = frozenset({"place", "workdir_place", "label", "doc", "digest", "key", "id", "site"})
# What a process is given by its Program: what holds around it, and the indices of what its steps run.
GIVEN = frozenset({"requirements", "run"})
# cwltool names the files of the types stdout and stderr by a hash over absolute URIs; ours must not depend on them.
INVENTED_NAME = re.compile(r"[0-9a-f]{40}")


def lower_fields(node: Node, types: TypeLowering) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """Inputs and outputs of any process."""
    inputs = tuple(types.field(entry, "input") for entry in node.named_children("inputs"))
    outputs = tuple(types.field(entry, "output") for entry in node.named_children("outputs"))
    return inputs, outputs


def lower_leaf(node: Node, types: TypeLowering, name: str) -> Process:
    """A CommandLineTool, ExpressionTool or Operation, its requirements still empty."""
    inputs, outputs = lower_fields(node, types)
    kind = node.get("class")
    if kind == "CommandLineTool":
        return _with_digest(_tool(node, inputs, outputs, name))
    if kind == "ExpressionTool":
        expression = node.template("expression") or ""
        return _with_digest(
            ExpressionProcess(
                id=name, version=node.version, inputs=inputs, outputs=outputs, expression=expression, place=node.place()
            )
        )
    if kind == "Operation":
        return OperationProcess(id=name, version=node.version, inputs=inputs, outputs=outputs, place=node.place())
    raise DocumentError([Problem(node.place("class"), f"class {kind!r} cannot be run")])


def process_name(node: Node, otherwise: str) -> str:
    """A short name for messages: the fragment of its id, else the file's name, else the step's name."""
    identifier = str(node.get("id", ""))
    if not identifier or identifier.startswith("_:") or re.fullmatch(r"[0-9a-f-]{36}", shortname(identifier)):
        return otherwise
    return shortname(identifier) or otherwise


def with_key(process: Process) -> Process:
    """A linked process with the key of all that decides what its jobs do; a workflow's own job binds its inputs."""
    body = process.inputs if isinstance(process, WorkflowProcess) else process.digest
    return replace(process, key=content_digest([body, process.version, process.requirements]))


def content_digest(value: Any, left_out: Set[str] = frozenset()) -> str:
    """sha256 of what records compute, without places, labels and the fields that are left out."""
    return hashlib.sha256(msgspec.msgpack.encode(_bare(value, COSMETIC | left_out))).hexdigest()


def _tool(node: Node, inputs: tuple[Field, ...], outputs: tuple[Field, ...], name: str) -> ToolProcess:
    outputs, streams = _name_streams(node, outputs)
    return ToolProcess(
        id=name,
        version=node.version,
        inputs=inputs,
        outputs=outputs,
        base_command=tuple(map(str, as_list(node.get("baseCommand")))),
        arguments=tuple(_argument(node, index, entry) for index, entry in enumerate(as_list(node.get("arguments")))),
        stdin=node.template("stdin"),
        stdout=streams.get("stdout") or node.template("stdout"),
        stderr=streams.get("stderr") or node.template("stderr"),
        success_codes=tuple(as_list(node.get("successCodes"))),
        temporary_fail_codes=tuple(as_list(node.get("temporaryFailCodes"))),
        permanent_fail_codes=tuple(as_list(node.get("permanentFailCodes"))),
        place=node.place(),
    )


def _name_streams(node: Node, outputs: tuple[Field, ...]) -> tuple[tuple[Field, ...], dict[str, str]]:
    streams: dict[str, str] = {}
    for stream in ("stdout", "stderr"):
        invented = str(node.get(stream, ""))
        if not INVENTED_NAME.fullmatch(invented):
            continue
        streams[stream] = f"cwl.{stream}.txt"
        outputs = tuple(
            replace(field, output=replace(field.output, glob=(streams[stream],)))
            if field.output and field.output.glob == (invented,)
            else field
            for field in outputs
        )
    return outputs, streams


def _argument(node: Node, index: int, entry: Any) -> Any:
    if isinstance(entry, str):
        compiled = node.compile(entry, "arguments")
        if isinstance(compiled, Expr):
            lines = getattr(node.data["arguments"], "lc", None)
            line = (lines.data or {}).get(index) if lines else None
            if line:
                place = compiled.place.rsplit(":", 2)[0]
                compiled = replace(compiled, place=f"{place}:{line[0] + 1}:{line[1] + 1}")
        return compiled
    return lower_binding(node.child(entry))


def _with_digest(process: Process) -> Process:
    return replace(process, digest=content_digest(process, GIVEN))


def _bare(value: Any, left_out: Set[str]) -> Any:
    """Plain data in a fixed order. Only fields of records are left out: a document's own data may use their names."""
    if isinstance(value, Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__ if name not in left_out}
        return [type(value).__name__, {name: _bare(entry, left_out) for name, entry in fields.items()}]
    if isinstance(value, dict):
        return {key: _bare(value[key], left_out) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_bare(entry, left_out) for entry in value]
    return value
