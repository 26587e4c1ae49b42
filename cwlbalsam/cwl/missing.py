"""Inputs that are gone."""

import os

import msgspec

from cwlbalsam.cwl.places import is_at_site
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.cwl.values import files_and_directories, is_remote, path_of_uri


def missing_inputs(task: Task) -> tuple[str, ...]:
    """Locations of Files and Directories on this machine that a task was given and that are not there, each once."""
    missing: dict[str, None] = {}
    for raw in (*task.inputs.values(), *task.previous.values()):
        for value in files_and_directories(msgspec.msgpack.decode(raw)):
            location = value.get("location")
            if not isinstance(location, str) or is_remote(value) or is_at_site(location):
                continue
            if location.startswith("file:///") and not os.path.exists(path_of_uri(location)):
                missing[location] = None
    return tuple(missing)
