"""What a job reads, for people: values on one line."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Process
from cwlbalsam.cwl.values import path_of_uri
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.references import NULL, Elements, resolve, unpack_trees
from cwlbalsam.service.models import outputs_of
from cwlbalsam.store import Store, StoredJob

LONGEST_VALUE = 300
LONGEST_ARRAY = 10


class _Outputs(Struct):
    """The part of an `Outcome` that other jobs read."""

    outputs: dict[str, Raw] = {}


_outcomes = msgspec.msgpack.Decoder(_Outputs)


def inputs_of(store: Store, run: RunRecord, job: StoredJob, process: Process) -> dict[str, str]:
    """What the job reads, as far as its parents have made it."""
    known: dict[int, dict[str, Raw]] = {}
    gathered: list[Callable[[int, str], Raw]] = []

    def lookup(number: int, port: str) -> Raw:
        if number not in known:
            parent = store.job(run.id, number)
            if parent.state is not State.JOB_FINISHED:
                raise LookupError(number)
            known[number] = _made(store, run, parent, lookup)
            if parent.kind == "gather" and not known[number]:  # it grew while the run went on
                gathered[:] = gathered or [outputs_of({one.id: one for one in store.jobs(run.id)}, store.edges(run.id))]
                return gathered[0](number, port)
        return known[number].get(port, NULL)

    values: dict[str, str] = {}
    elements = Elements(lookup)
    for name, tree in unpack_trees(job.inputs).items():
        if name in process.requirements.secrets:
            values[name] = "(secret)"
            continue
        try:
            values[name] = short_value(msgspec.msgpack.decode(resolve(tree, lookup, elements)))
        except LookupError:
            values[name] = "(not kept)" if job.state is State.JOB_FINISHED else "(not made yet)"
        except (JobError, RecursionError) as error:
            values[name] = f"({error})"
    return values


def _made(store: Store, run: RunRecord, parent: StoredJob, lookup: Any) -> dict[str, Raw]:
    """The outputs of a finished job; those of gathers and scatters are what their own inputs come to."""
    if parent.outcome:
        return _outcomes.decode(parent.outcome).outputs
    return {name: resolve(tree, lookup) for name, tree in unpack_trees(parent.inputs).items()}


def short_value(value: Any) -> str:
    """A value on one line; Files as their paths, long arrays as their first elements."""
    text = json.dumps(_brief(value), ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({len(text):,} characters)"


def _brief(value: Any) -> Any:
    match value:
        case {"class": "File" | "Directory"}:
            place = value.get("path") or value.get("location") or value.get("basename") or "(a literal)"
            return path_of_uri(place) if str(place).startswith("file://") else place
        case dict():
            return {name: _brief(entry) for name, entry in value.items()}
        case list() if len(value) > LONGEST_ARRAY:
            return [*map(_brief, value[:3]), f"... {len(value) - 3:,} more"]
        case list():
            return list(map(_brief, value))
    return value
