"""Requirements and hints: inherited along the call path, then lowered for one process.

A tool's own stand over the step's, the step's over the workflow's; any requirement beats any hint.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from msgspec.structs import replace

from cwlbalsam.cwl.records import (
    Batch,
    Cuda,
    Dirent,
    Docker,
    Expr,
    LiteralEntry,
    Mpi,
    Requirements,
    Resources,
    Scope,
    Scripts,
    Software,
    Template,
)
from cwlbalsam.errors import DocumentError, Problem, UnsupportedError
from cwlbalsam.parser.nodes import Node, as_list, plain_value, shortname

NAMESPACE = "https://cwlbalsam.org/cwl#"
# Spellings from before a class entered the standard, and of other runners for the same thing.
ALIASES = {
    "TimeLimit": "ToolTimeLimit",
    "ReuseRequirement": "WorkReuse",
}
FEATURES = frozenset(
    {
        "SchemaDefRequirement",
        "ScatterFeatureRequirement",
        "SubworkflowFeatureRequirement",
        "MultipleInputFeatureRequirement",
        "StepInputExpressionRequirement",
        "ShmSize",
        "Loop",
    }
)


@dataclass(frozen=True)
class Entry:
    """One requirement or hint as written."""

    name: str
    node: Node


@dataclass(frozen=True)
class Inherited:
    """What holds on the way down to a process, by class name."""

    requirements: Mapping[str, Entry] = field(default_factory=dict)
    hints: Mapping[str, Entry] = field(default_factory=dict)

    def under(self, requirements: Iterable[Entry], hints: Iterable[Entry]) -> "Inherited":
        """What holds inside a process or step that says these itself."""
        return Inherited(
            {**self.requirements, **{entry.name: entry for entry in requirements}},
            {**self.hints, **{entry.name: entry for entry in hints}},
        )

    def find(self, name: str) -> tuple[Node | None, bool]:
        """The entry that counts and whether it is a requirement."""
        if name in self.requirements:
            return self.requirements[name].node, True
        return (self.hints[name].node, False) if name in self.hints else (None, False)

    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Equal for two call paths on which the same is said (nodes live as long as their documents)."""
        return (
            tuple(sorted(id(entry.node.data) for entry in self.requirements.values())),
            tuple(sorted(id(entry.node.data) for entry in self.hints.values())),
        )

    def scope(self) -> Scope:
        """How a step's own expressions are evaluated."""
        node, _ = self.find("InlineJavascriptRequirement")
        return Scope(javascript=node is not None, expression_lib=_expression_lib(node))


def read_entries(owner: Node, key: str) -> list[Entry]:
    """The requirements (or hints) that a process or step states. Unknown hints are left out."""
    if key in owner.data and owner.data[key] is None:
        message = f"'{key}' is there but empty: it must be a list or a map"
        raise DocumentError([Problem(owner.place(key), message)])
    entries = []
    for node in owner.children(key):
        identifier = str(node.get("class", ""))
        name = class_name(identifier)
        if name not in LOWERINGS and name not in FEATURES:
            if key == "requirements":
                raise UnsupportedError(f"unsupported requirement {identifier}", place=node.place())
            continue
        if name == "Loop":  # read by the step itself, as `loop` is
            if key != "requirements" or "run" not in owner.data:
                raise DocumentError([Problem(node.place(), "cwltool:Loop may only be a requirement of a step")])
            continue
        entries.append(Entry(name, node))
    return entries


def class_name(identifier: str) -> str:
    """`http://commonwl.org/cwltool#TimeLimit` -> `ToolTimeLimit`; our own keep their prefix."""
    if identifier.startswith(NAMESPACE):
        return f"cwlbalsam:{identifier.removeprefix(NAMESPACE)}"
    name = identifier.rpartition("#")[2]
    if ":" in name:
        name = name.rpartition(":")[2]
    return ALIASES.get(name, name)


def lower_requirements(inherited: Inherited, version: str) -> Requirements:
    """All that holds for one process whose source file has this version."""
    lowered = Requirements(
        # CWL v1.0 knew neither requirement: everything was allowed and listed.
        network=version == "v1.0",
        load_listing="deep_listing" if version == "v1.0" else "no_listing",
    )
    changes: dict[str, Any] = {}
    for name, lower in LOWERINGS.items():
        node, required = inherited.find(name)
        if node is not None:
            changes.update(lower(node, required))
    return replace(lowered, **changes) if changes else lowered


def _expression_lib(node: Node | None) -> tuple[str, ...]:
    return tuple(map(str, as_list(node.get("expressionLib")))) if node else ()


def _javascript(node: Node, _: bool) -> dict[str, Any]:
    return {"javascript": True, "expression_lib": _expression_lib(node)}


def _docker(node: Node, required: bool) -> dict[str, Any]:
    docker = Docker(
        pull=str(node.get("dockerPull", "")),
        load=str(node.get("dockerLoad", "")),
        file=str(node.get("dockerFile", "")),
        import_=str(node.get("dockerImport", "")),
        image_id=str(node.get("dockerImageId", "")),
        output_directory=str(node.get("dockerOutputDirectory", "")),
        required=required,
        place=node.place(),
    )
    return {"docker": docker}


def _software(node: Node, required: bool) -> dict[str, Any]:
    packages = [
        Software(
            package=str(entry.get("package", "")),
            versions=tuple(map(str, as_list(entry.get("version")))),
            specs=tuple(map(str, as_list(entry.get("specs")))),
            required=required,
            place=entry.place(),
        )
        for entry in node.children("packages")
    ]
    return {"software": tuple(packages)}


def _workdir(node: Node, _: bool) -> dict[str, Any]:
    listing = node.get("listing", [])
    place = node.place("listing")
    if isinstance(listing, str):
        compiled = node.compile(listing, "listing")
        if isinstance(compiled, str):
            raise DocumentError([Problem(place, f"listing is neither a list nor an expression: {listing!r}")])
        return {"workdir": compiled, "workdir_place": place}
    entries = [_workdir_entry(node, entry) for entry in listing if entry is not None]
    return {"workdir": tuple(entries), "workdir_place": place}


def _workdir_entry(node: Node, entry: Any) -> Dirent | LiteralEntry | Expr:
    if isinstance(entry, str):
        compiled = node.compile(entry, "listing")
        if isinstance(compiled, str):
            message = f"an entry of the listing is text without an expression: {entry!r}"
            raise DocumentError([Problem(node.place("listing"), message)])
        return compiled
    if isinstance(entry, Mapping) and "entry" in entry:
        inner = node.child(entry)
        return Dirent(
            entry=inner.template("entry", strip=False) or "",
            entryname=inner.template("entryname"),
            writable=bool(inner.get("writable")),
            place=inner.place(),
        )
    return LiteralEntry(value=plain_value(entry, node.document.uri))


def _env(node: Node, _: bool) -> dict[str, Any]:
    pairs: list[tuple[str, Template]] = []
    for entry in node.children("envDef"):
        pairs.append((str(entry.data["envName"]), entry.template("envValue") or ""))
    return {"env": tuple(pairs)}


def _number(node: Node, key: str) -> float | Expr | None:
    value = node.get(key)
    if isinstance(value, str):
        compiled = node.compile(value, key)
        if isinstance(compiled, Expr):
            return compiled
        try:
            return float(compiled)
        except ValueError:
            raise DocumentError([Problem(node.place(key), f"{key} is no number: {value!r}")]) from None
    return None if value is None else float(value)


def _resources(node: Node, _: bool) -> dict[str, Any]:
    resources = Resources(
        cores_min=_number(node, "coresMin"),
        cores_max=_number(node, "coresMax"),
        ram_min=_number(node, "ramMin"),
        ram_max=_number(node, "ramMax"),
        tmpdir_min=_number(node, "tmpdirMin"),
        tmpdir_max=_number(node, "tmpdirMax"),
        outdir_min=_number(node, "outdirMin"),
        outdir_max=_number(node, "outdirMax"),
        place=node.place(),
    )
    return {"resources": resources}


def _truth(node: Node, key: str, default: bool) -> bool | Expr:
    value = node.get(key, default)
    if isinstance(value, str):
        compiled = node.compile(value, key)
        if isinstance(compiled, str):
            raise DocumentError(
                [Problem(node.place(key), f"{key} is neither true, false nor an expression: {value!r}")]
            )
        return compiled
    return bool(value)


def _mpi(node: Node, _: bool) -> dict[str, Any]:
    return {"mpi": Mpi(processes=_count(node, "processes") or 0, place=node.place())}


def _count(node: Node, key: str) -> int | Expr | None:
    value = _number(node, key)
    return int(value) if isinstance(value, float) else value


def _cuda(node: Node, _: bool) -> dict[str, Any]:
    least, most = _count(node, "cudaDeviceCountMin"), _count(node, "cudaDeviceCountMax")
    cuda = Cuda(
        version_min=str(node.get("cudaVersionMin", "")),
        compute_capability=tuple(map(str, as_list(node.get("cudaComputeCapability")))),
        device_count_min=next(count for count in (least, most, 1) if count is not None),
        device_count_max=most,
        place=node.place(),
    )
    return {"cuda": cuda}


def _scripts(node: Node, _: bool) -> dict[str, Any]:
    scripts = Scripts(
        preprocess=_words(node, "preprocess"), postprocess=_words(node, "postprocess"), place=node.place()
    )
    return {"scripts": scripts}


def _words(node: Node, key: str) -> tuple[str, ...]:
    """A command; a path in its first word that is not absolute begins at the document."""
    value = node.get(key)
    try:
        words = shlex.split(value) if isinstance(value, str) else list(map(str, as_list(value)))
    except ValueError as error:
        raise DocumentError([Problem(node.place(key), f"{key} is no command: {error}")]) from None
    if words and "/" in words[0] and not words[0].startswith("/"):
        words[0] = unquote(urlsplit(urljoin(node.document.uri, words[0])).path)
    return tuple(words)


def _batch(node: Node, _: bool) -> dict[str, Any]:
    numbers = {name: _number(node, key) or 0.0 for name, key in (("wall", "wallTime"), ("priority", "priority"))}
    if isinstance(numbers["priority"], Expr):
        raise DocumentError([Problem(node.place("priority"), "priority must be a number, not an expression")])
    batch = Batch(
        wall_seconds=numbers["wall"],
        queue=str(node.get("queue", "")),
        account=str(node.get("account", "")),
        constraint=str(node.get("constraint", "")),
        exclusive=bool(node.get("exclusive")),
        priority=float(numbers["priority"]),
        place=node.place(),
    )
    return {"batch": batch}


LOWERINGS: dict[str, Callable[[Node, bool], dict[str, Any]]] = {
    "InlineJavascriptRequirement": _javascript,
    "DockerRequirement": _docker,
    "SoftwareRequirement": _software,
    "InitialWorkDirRequirement": _workdir,
    "EnvVarRequirement": _env,
    "ShellCommandRequirement": lambda node, _: {"shell": True},
    "ResourceRequirement": _resources,
    "WorkReuse": lambda node, _: {"work_reuse": _truth(node, "enableReuse", True)},
    "NetworkAccess": lambda node, _: {"network": _truth(node, "networkAccess", False)},
    "InplaceUpdateRequirement": lambda node, _: {"inplace_update": bool(node.get("inplaceUpdate"))},
    "LoadListingRequirement": lambda node, _: {"load_listing": node.get("loadListing", "no_listing")},
    "ToolTimeLimit": lambda node, _: {"time_limit": _number(node, "timelimit") or 0.0},
    "MPIRequirement": _mpi,
    "CUDARequirement": _cuda,
    "cwlbalsam:Scripts": _scripts,
    "cwlbalsam:Batch": _batch,
    "cwlbalsam:SiteHint": lambda node, _: {"site": str(node.get("site", ""))},
    "Secrets": lambda node, _: {"secrets": tuple(shortname(name) for name in as_list(node.get("secrets")))},
}
