"""The fields of a site file: one table, from which it is read, and of which editors get a JSON Schema."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from cwlbalsam.sites.containers import ENGINES
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.schedulers import SCHEDULERS
from cwlbalsam.sites.site import (
    PROTOCOLS,
    MpiSettings,
    NodeSettings,
    PilotSettings,
    SchedulerSettings,
    TransferSettings,
)

SITE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*([MGT]i?B?)?", re.IGNORECASE)
SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])")
CLOCK = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):(\d{2})(?::(\d{2}))?")
SIZES = {"m": 1, "g": 1024, "t": 1024**2}
SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
WORD = r"^[^\s\"'\\`]+$"

Kind = Literal["text", "word", "count", "size", "time", "list", "lines", "section"]


class Field(Struct, frozen=True, kw_only=True):
    """kind: how it is written. choices: all that it may be. attribute: of the record, "" if of the same name.

    section: the fields of a mapping, record: what it becomes, short: its field that can stand for the whole mapping.
    """

    kind: Kind
    doc: str
    choices: tuple[str, ...] = ()
    attribute: str = ""
    section: Mapping[str, "Field"] = {}
    record: Callable[..., Any] | None = None
    short: str = ""


_SCHEDULER = {
    "kind": Field(kind="word", doc="The batch scheduler.", choices=tuple(SCHEDULERS)),
    "queue": Field(kind="word", doc="The queue or partition of pilots."),
    "account": Field(kind="word", doc="The account or project that pays."),
    "constraint": Field(kind="word", doc="A feature or property that nodes must have."),
    "extra": Field(kind="list", doc="Further directives of batch scripts, with or without their prefix."),
}
_NODES = {
    "cores": Field(kind="count", doc="Cores for jobs."),
    "memory": Field(kind="size", doc="Memory for jobs, e.g. 192 GiB.", attribute="memory_megabytes"),
    "gpus": Field(kind="count", doc="GPUs."),
}
_MPI = {
    "launcher": Field(kind="word", doc="What starts MPI programs.", choices=tuple(LAUNCHERS)),
    "pmi": Field(kind="word", doc="How ranks find each other, for srun --mpi."),
    "binding": Field(kind="word", doc="What ranks are bound to.", choices=("core", "socket", "none")),
    "options": Field(kind="list", doc="Further options of the launch command."),
}
_PILOTS = {
    "min": Field(kind="count", doc="Pilots to keep even when there is no work."),
    "max": Field(kind="count", doc="Pilots at most, queued and running."),
    "nodes": Field(kind="count", doc="Nodes of a pilot at most."),
    "total_nodes": Field(kind="count", doc="Nodes of all pilots together at most."),
    "wall": Field(kind="time", doc="Wall time of a pilot at most, e.g. 2h or 02:00:00.", attribute="wall_seconds"),
    "idle": Field(kind="time", doc="How long a pilot waits for work before it ends.", attribute="idle_seconds"),
}
_TRANSFERS = {
    "ways": Field(kind="list", doc="Ways to move files, the preferred one first; no others.", choices=PROTOCOLS),
    "at_once": Field(kind="count", doc="Batches of files that are moved at the same time at most, to and from it."),
}
SITE = {
    "host": Field(
        kind="word", doc="Where ssh goes: a host, user@host, or a name of ~/.ssh/config. None: this machine."
    ),
    "work": Field(kind="text", doc="The folder for jobs, which all nodes see; absolute, or in the home (~/...)."),
    "scheduler": Field(
        kind="section", doc="The batch scheduler.", section=_SCHEDULER, record=SchedulerSettings, short="kind"
    ),
    "nodes": Field(
        kind="section", doc="What a node has, if not all of it is for jobs.", section=_NODES, record=NodeSettings
    ),
    "mpi": Field(kind="section", doc="How MPI programs start.", section=_MPI, record=MpiSettings, short="launcher"),
    "pilots": Field(kind="section", doc="How many pilots to keep.", section=_PILOTS, record=PilotSettings),
    "containers": Field(kind="list", doc="Container engines, the preferred one first.", choices=tuple(ENGINES)),
    "transfers": Field(
        kind="section",
        doc="How files are moved to the site and from it.",
        section=_TRANSFERS,
        record=TransferSettings,
        short="ways",
    ),
    "modules": Field(kind="list", doc="Environment modules that batch jobs load."),
    "software": Field(
        kind="list",
        doc="Packages for steps that require them (samtools=1.9), beside programs and modules of that name.",
    ),
    "starter": Field(
        kind="word",
        doc="What starts the supervisors on a pilot's nodes; mpi: as one MPI program, where only MPI reaches nodes.",
        choices=("srun", "mpiexec", "ssh", "local", "mpi"),
    ),
    "order": Field(kind="word", doc="Which of the jobs that wait start first.", choices=("widest", "oldest")),
    "transport": Field(kind="word", doc="How pilots reach the agent.", choices=("auto", "tcp", "spool")),
    "scratch": Field(kind="text", doc="A folder of each node's own, for temporary files."),
    "lease": Field(
        kind="time", doc="How long a pilot's jobs stay its own when it is silent.", attribute="lease_seconds"
    ),
    "steps": Field(kind="list", doc="Steps that run here unless the command line says otherwise (or align/*)."),
    "command": Field(kind="text", doc="cwlbalsam at the site, if it is not on the PATH there (~/venv/bin/cwlbalsam)."),
    "python": Field(kind="text", doc="A Python (3.8 or newer) at the site, for transfers, if not python3 on the PATH."),
    "ssh_config": Field(kind="text", doc="A configuration file for ssh instead of ~/.ssh/config."),
    "filesystem": Field(kind="word", doc="The file system's name: sites that give the same one share their files."),
    "gridftp": Field(kind="word", doc="The site's GridFTP server, gsiftp://host:port."),
    "globus": Field(kind="word", doc="The id of the site's Globus collection."),
    "setup": Field(kind="lines", doc="Shell lines that batch jobs begin with."),
}


def size_megabytes(text: str) -> int:
    """MiB of `192 GiB`, `192G`, `4000`. Raises ValueError."""
    found = SIZE.fullmatch(text)
    if not found:
        raise ValueError(text)
    return int(float(found[1]) * SIZES[(found[2] or "m")[0].lower()])


def span_seconds(text: str) -> float:
    """Seconds of `2h`, `90m`, `1-12:00:00`, `02:00`. Raises ValueError."""
    span, clock = SPAN.fullmatch(text), CLOCK.fullmatch(text)
    if span:
        return float(span[1]) * SPANS[span[2]]
    if not clock:
        raise ValueError(text)
    days, hours, minutes, seconds = (int(field or 0) for field in clock.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def json_schema() -> dict[str, Any]:
    """Of a site file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sites of cwlbalsam",
        "type": ["object", "null"],
        "patternProperties": {f"^{SITE_NAME.pattern}$": _section_schema(SITE)},
        "additionalProperties": False,
    }


def _section_schema(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "properties": {name: _field_schema(field) for name, field in fields.items()},
        "additionalProperties": False,
    }


def _field_schema(field: Field) -> dict[str, Any]:
    about = {"description": field.doc}
    item: dict[str, Any] = {"enum": list(field.choices)} if field.choices else {"type": "string"}
    match field.kind:
        case "section":
            section = _section_schema(field.section)
            if not field.short:
                return {**about, **section}
            return {**about, "anyOf": [_field_schema(field.section[field.short]), section]}
        case "count":
            return {**about, "type": "integer", "minimum": 0}
        case "size" | "time":
            pattern = (
                SIZE.pattern.replace("[MGT]", "[MGTmgt]") if field.kind == "size" else f"{SPAN.pattern}|{CLOCK.pattern}"
            )
            return {**about, "type": ["string", "integer"], "pattern": f"^({pattern})$"}
        case "list" | "lines":
            return {**about, "anyOf": [item, {"type": "array", "items": item}]}
        case "word" if not field.choices:
            return {**about, "type": "string", "pattern": WORD}
    return {**about, **item}
