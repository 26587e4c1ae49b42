"""Files that are gone."""

import os
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.tasks import Task
from cwlbalsam.cwl.values import files_and_directories, path_of_uri
from cwlbalsam.jobs.references import NULL


def missing_inputs(task: Task) -> tuple[str, ...]:
    """Locations of Files and Directories that a task was given and that are not there, each once."""
    raws = (*task.inputs.values(), *task.previous.values())
    return tuple(dict.fromkeys(location for raw in raws for location in _missing(raw)))


def without_missing(values: Mapping[str, Raw]) -> dict[str, Raw]:
    """Values, those of which a file is gone being null."""
    return {name: NULL if any(True for _ in _missing(raw)) else raw for name, raw in values.items()}


def _missing(raw: Raw) -> Iterator[str]:
    """Only of this machine: what is elsewhere is looked at where it is read."""
    for value in files_and_directories(msgspec.msgpack.decode(raw)):
        location = value.get("location")
        if isinstance(location, str) and location.startswith("file:///") and not os.path.exists(path_of_uri(location)):
            yield location
