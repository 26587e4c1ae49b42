"""InitialWorkDirRequirement: what is put into the output directory before the command starts."""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from cwlbalsam.cwl.copying import copy_directory, copy_file
from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.records import Dirent, Expr, LiteralEntry
from cwlbalsam.cwl.staging import Mount, Stage, below, set_path, write_text
from cwlbalsam.cwl.values import (
    Value,
    files_and_directories,
    is_file_or_directory,
    normalise_all,
    path_of,
    summary,
)
from cwlbalsam.errors import JobError


class Entry(NamedTuple):
    """A File or Directory, the name it gets (its own if None), and whether the job gets a copy of its own."""

    value: Value
    name: str | None
    writable: bool


def stage_workdir(frame: Frame, stage: Stage) -> None:
    """Evaluate the listing, put everything in place, and tell the inputs that are among it their new path."""
    needs = frame.requirements
    if not needs.workdir:
        return
    place = needs.workdir_place
    for entry in list(_entries(frame)):
        normalise_all(entry.value)
        name = entry.name if entry.name is not None else entry.value.get("basename")
        if name is None:
            raise JobError(f"InitialWorkDirRequirement: an entry has no name: {summary(entry.value)}", place=place)
        _Placing(frame, stage, entry.writable).put(entry.value, _checked(frame, stage, name))
    if stage.moved:
        for value in frame.inputs.values():
            for found in files_and_directories(value):
                seen = stage.moved.get(found.get("location", ""))
                if seen is not None:
                    set_path(found, seen)


# --- the listing ---------------------------------------------------------------------------------------------------


def _entries(frame: Frame) -> Iterator[Entry]:
    listing = frame.requirements.workdir
    place = frame.requirements.workdir_place
    if isinstance(listing, Expr):
        found = frame.evaluate(listing)
        if not isinstance(found, list):
            raise wrong("InitialWorkDirRequirement: 'listing'", "an array", found, listing)
        for item in found:
            yield from _from_result(item, place)
        return
    for item in listing:
        if isinstance(item, Dirent):
            yield from _from_dirent(frame, item)
        elif isinstance(item, LiteralEntry):
            yield from _from_result(item.value, place)
        else:
            yield from _from_result(frame.evaluate(item), item.place)


def _from_result(item: Any, place: str) -> Iterator[Entry]:
    """An entry as an expression gives it: null, a File or Directory, a Dirent, or an array of these."""
    if item is None:
        return
    if isinstance(item, list):
        for inner in item:
            yield from _from_result(inner, place)
    elif is_file_or_directory(item):
        yield Entry(item, None, bool(item.get("writable", False)))
    elif isinstance(item, dict) and "entry" in item:
        entry, name = item["entry"], item.get("entryname")
        if name is not None and not isinstance(name, str):
            raise JobError(f"InitialWorkDirRequirement: 'entryname' must be a string, not {name!r:.200}", place=place)
        if entry is not None:
            yield _named(entry, name, bool(item.get("writable", False)), place)
    else:
        raise JobError(
            f"InitialWorkDirRequirement: an entry must be a File, Directory or Dirent, not {summary(item)}", place=place
        )


def _from_dirent(frame: Frame, dirent: Dirent) -> Iterator[Entry]:
    entry = frame.evaluate(dirent.entry)
    if entry is None:
        return
    name = None if dirent.entryname is None else frame.text(dirent.entryname, "'entryname'")
    if isinstance(entry, list) and all(map(is_file_or_directory, entry)) and (entry or name is None):
        if name is not None:
            raise JobError(f"entryname {name!r} cannot name an array of Files or Directories", place=dirent.place)
        for item in entry:
            yield Entry(item, None, dirent.writable)
        return
    if not isinstance(entry, str) and not is_file_or_directory(entry):
        if frame.version in {"v1.0", "v1.1"}:
            raise wrong("'entry'", f"a string, File or Directory in {frame.version}", entry, dirent.entry)
        entry = json.dumps(entry, sort_keys=True)
    yield _named(entry, name, dirent.writable, dirent.place)


def _named(entry: Any, name: str | None, writable: bool, place: str) -> Entry:
    if isinstance(entry, str):
        if not name:
            raise JobError("InitialWorkDirRequirement: an entry with text needs an entryname", place=place)
        return Entry({"class": "File", "contents": entry}, name, writable)
    if not is_file_or_directory(entry):
        raise JobError(f"'entry' must be text, a File or a Directory, not {summary(entry)}", place=place)
    return Entry(entry, name or None, writable)


def _checked(frame: Frame, stage: Stage, name: str) -> str:
    """The name in its shortest form. Raises JobError if it leads out of the output directory without permission."""
    place = frame.requirements.workdir_place
    shortest = os.path.normpath(name)
    if "\0" in name or shortest in {".", ".."} or shortest.startswith("../"):
        raise JobError(f"InitialWorkDirRequirement: {name!r} is not inside the output directory", place=place)
    if shortest.startswith("/"):
        docker = frame.requirements.docker
        if frame.version in {"v1.0", "v1.1"} or docker is None or not docker.required or not stage.contained:
            raise JobError(
                f"InitialWorkDirRequirement: {name!r} is absolute",
                place=place,
                hint="from v1.2 on that is allowed in a container, with DockerRequirement under requirements",
            )
        inside = below(shortest, stage.seen_outdir)
        return inside[1:] if inside else shortest
    return shortest


# --- putting in place ----------------------------------------------------------------------------------------------


class _Placing:
    """Puts one entry, and what belongs to it, into the output directory."""

    def __init__(self, frame: Frame, stage: Stage, writable: bool) -> None:
        self.stage = stage
        self.writable = writable
        self.inplace = writable and frame.requirements.inplace_update
        stage.changes_inputs = stage.changes_inputs or self.inplace

    def put(self, value: Value, name: str) -> None:
        """name: relative to the output directory, or an absolute path in the container."""
        stage = self.stage
        if name.startswith("/"):
            host = f"{stage.inputs}.root{name}"
            seen = name
        else:
            host, seen = f"{stage.outdir}/{name}", f"{stage.seen_outdir}/{name}"
        parent = os.path.dirname(host)
        if "/" in name:
            os.makedirs(parent, exist_ok=True)
            root = stage.inputs + ".root" if name.startswith("/") else stage.outdir
            if below(os.path.realpath(parent), os.path.realpath(root)) is None:
                raise JobError(f"InitialWorkDirRequirement: {name!r} is inside a directory that is only linked here")
        if "location" in value:
            self._put_real(value, host, seen)
        elif value["class"] == "File":
            write_text(host, value["contents"])
        else:
            os.makedirs(host, exist_ok=True)
            for entry in value["listing"]:
                self.put(entry, f"{name}/{entry['basename']}")
        if name.startswith("/") and ("location" not in value or (self.writable and not self.inplace)):
            stage.mounts.append(Mount(host, seen, self.writable))
        folder = name.rpartition("/")[0]
        for member in value.get("secondaryFiles") or ():
            self.put(member, f"{folder}/{member['basename']}" if "/" in name else member["basename"])

    def _put_real(self, value: Value, host: str, seen: str) -> None:
        stage = self.stage
        source, location = path_of(value), value["location"]
        if self.writable and not self.inplace:
            if os.path.lexists(host):
                raise JobError(f"two entries of InitialWorkDirRequirement are named {os.path.basename(host)!r}")
            try:
                (copy_file if value["class"] == "File" else copy_directory)(source, host)
            except OSError as error:
                raise JobError(f"cannot copy {source} into the output directory: {error.strerror}") from error
        else:
            if stage.origins.get(seen) == location:
                return
            stage.bring(source, host, seen, writable=self.inplace)
            stage.origins[seen] = location
        stage.moved[location] = seen
        for entry in value.get("listing") or ():
            if "location" in entry:
                stage.moved[entry["location"]] = f"{seen}/{entry['basename']}"
