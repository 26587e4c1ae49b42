"""secondaryFiles of inputs: names from patterns, discovery beside the primary file."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.places import is_at_site
from cwlbalsam.cwl.records import Expr, SecondaryFile
from cwlbalsam.cwl.values import Value, is_file_or_directory, normalise_all, path_of, set_name, summary, uri_of
from cwlbalsam.errors import JobError


def substitute(basename: str, pattern: str) -> str:
    """`^` takes off one extension each, the rest is appended."""
    while pattern.startswith("^"):
        pattern = pattern[1:]
        head, dot, _ = basename.rpartition(".")
        if dot and head:
            basename = head
    return basename + pattern


def secondary_names(frame: Frame, wanted: SecondaryFile, primary: Value) -> list[str | Value]:
    """What a pattern stands for: names beside the primary, or File and Directory objects."""
    if not isinstance(wanted.pattern, Expr):
        return [substitute(primary["basename"], wanted.pattern)]
    found = frame.evaluate(wanted.pattern, primary)
    names: list[str | Value] = []
    for item in found if isinstance(found, list) else [found]:
        if item is None or item == "":
            continue
        if not isinstance(item, str) and not is_file_or_directory(item):
            raise wrong("a secondaryFiles pattern", "a string, File, Directory or list of such", item, wanted.pattern)
        names.append(item)
    return names


def is_required(frame: Frame, wanted: SecondaryFile, primary: Value) -> bool:
    value = frame.evaluate(wanted.required, primary)
    if value is not None and not isinstance(value, bool):
        raise wrong("'required' of secondaryFiles", "true, false or null", value, wanted.required)
    return bool(value)


def add_secondary_files(
    frame: Frame, patterns: Sequence[SecondaryFile], primary: Value, discover: bool, where: str
) -> None:
    """Complete an input's secondaryFiles. Those that came with the value are trusted unless `discover`.

    discover: look for files beside the primary. Only for what the user or a default gives: inside a workflow, files
    that a step needs must be named by what produced them, since nothing else sees to it that they travel along.
    """
    if not patterns or ("secondaryFiles" in primary and not discover):
        return
    present: list[Value] = primary.setdefault("secondaryFiles", [])
    for wanted in patterns:
        for name in secondary_names(frame, wanted, primary):
            if isinstance(name, dict):
                _add(present, name)
                continue
            if _holds(present, name):
                continue
            found = _beside(primary, name) if discover else None
            if found is not None:
                present.append(found)
            elif is_required(frame, wanted, primary):
                raise JobError(
                    f"{where}: required secondary file {name!r} is missing",
                    place=wanted.place,
                    hint=f"of {summary(primary.get('location') or primary['basename'])}",
                )


def _add(present: list[Value], found: Value) -> None:
    """Add what an expression gave; the same file again only gets the new name."""
    normalise_all(found)
    for value in present:
        if "location" in found and value.get("location") == found["location"]:
            set_name(value, found["basename"])
            return
    if not _holds(present, found["basename"]):
        present.append(found)


def _holds(values: Iterable[Value], basename: str) -> bool:
    return any(value.get("basename") == basename for value in values)


def _beside(primary: Value, name: str) -> Value | None:
    if "location" not in primary or is_at_site(primary["location"]):
        return None
    path = os.path.join(os.path.dirname(path_of(primary)), name)
    found: dict[str, Any] = {"location": uri_of(os.path.normpath(path))}
    if os.path.isfile(path):
        found["class"] = "File"
        found["size"] = os.stat(path).st_size
    elif os.path.isdir(path):
        found["class"] = "Directory"
    else:
        return None
    normalise_all(found)
    return found
