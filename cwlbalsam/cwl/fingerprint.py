"""What the result of a job depends on, as one number: the tool, its inputs by content, and what runs it."""

import hashlib
import os
from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.checksums import Checksums
from cwlbalsam.cwl.frame import Frame
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import Docker, LiteralEntry, Process
from cwlbalsam.cwl.values import Value, path_of

FORMAT = 1
"""To be raised when the same fingerprint would no longer mean the same result."""
# Fields of records that change no result, or count elsewhere: defaults are part of the inputs.
_LEFT_OUT = frozenset(
    {"place", "workdir_place", "label", "doc", "digest", "id", "default"}
    | {"docker", "resources", "work_reuse", "time_limit", "batch", "secrets"}
)
_BY_CONTENT = frozenset({"location", "path", "dirname", "checksum", "size", "secondaryFiles", "listing"})
_encode = msgspec.msgpack.Encoder(order="deterministic").encode

Stamp = tuple[str, int, int, int]


class Content:
    """Describes values without their places; remembers the places.

    locations: of each File and Directory in the order they were met ("" of a literal); numbers: where in that order
    one is first. stamps: of each file read.
    """

    def __init__(self, sums: Checksums) -> None:
        self.sums = sums
        self.locations: list[str] = []
        self.numbers: dict[str, int] = {}
        self.stamps: list[Stamp] = []

    def describe(self, value: Any) -> Any:
        """The value with Files and Directories by name and content."""
        if type(value) is list:
            return [self.describe(item) for item in value]
        if type(value) is not dict:
            return value
        if value.get("class") not in ("File", "Directory"):
            return {key: self.describe(item) for key, item in value.items()}
        return self._describe_file(value)

    def _describe_file(self, value: Value) -> Any:
        location = value.get("location", "")
        if location:
            self.numbers.setdefault(location, len(self.locations))
        self.locations.append(location)
        kept = {key: item for key, item in value.items() if key not in _BY_CONTENT}
        if location:
            path = path_of(value)
            content = self._file(path) if value["class"] == "File" else self._tree(path, (os.path.realpath(path),))
            kept["location"] = content
        for key in ("secondaryFiles", "listing"):
            if value.get(key) is not None:
                kept[key] = [self._describe_file(item) for item in value[key]]
        return kept

    def _file(self, path: str) -> str:
        self.stamps.append(stamp(path))  # before it is read: a change meanwhile must show
        return self.sums.of(path)

    def _tree(self, path: str, above: tuple[str, ...]) -> list[Any]:
        entries: list[Any] = []
        with os.scandir(path) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                name = os.fsencode(entry.name)
                if entry.is_file():
                    entries.append([name, self._file(entry.path)])
                elif entry.is_dir():
                    real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
                    inside: Any = "loop" if real in above else self._tree(entry.path, (*above, real))
                    entries.append([name, inside])
                else:
                    entries.append([name, None])
        return entries

    def is_unchanged(self) -> bool:
        """Whether all that was read is still the same."""
        return all(stamp(found[0]) == found for found in self.stamps)


def stamp(path: str) -> Stamp:
    """What tells that a file is another one now."""
    found = os.stat(path)
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def fingerprint(frame: Frame, docker: Docker | None, content: Content) -> str:
    """In hexadecimal digits. docker: of the container that the job will run in.

    Expressions count as written, not by value: they depend on the inputs, and on `runtime` if they mention it.
    Absolute paths do not count, so a tool that prints those may show the ones of an earlier run.
    Raises OSError, JobError or ValueError if the content of some input cannot be told.
    """
    settings, fixed = frame.settings, _fixed(frame.process)
    surroundings: list[Any] = [FORMAT, os.uname().machine, settings.compute_checksum]
    if docker is None:
        surroundings += [settings.path, settings.environment]
    else:
        surroundings += [_bare(docker), _image_file(docker, content)]
    if frame.requirements.mpi is not None:
        surroundings += [settings.mpi_command, settings.mpi_environment]
    if b"runtime" in fixed:
        surroundings.append(frame.runtime)
    workdir = frame.requirements.workdir
    entries = [item.value for item in workdir if isinstance(item, LiteralEntry)] if isinstance(workdir, tuple) else []
    inputs = content.describe(frame.inputs)
    digest = hashlib.sha256(fixed)
    digest.update(_encode([surroundings, inputs, content.describe(entries)]))
    return digest.hexdigest()


@once_for_each
def _fixed(process: Process) -> bytes:
    return _encode(_bare(process))


def _bare(value: Any) -> Any:
    """A record without what changes no result. Values of CWL stay as they are: their keys are the user's."""
    if isinstance(value, LiteralEntry):
        return "literal"  # counted by content
    if isinstance(value, Struct):
        kind = type(value).__name__
        return [kind, [[n, _bare(getattr(value, n))] for n in value.__struct_fields__ if n not in _LEFT_OUT]]
    if isinstance(value, tuple):
        return [_bare(item) for item in value]
    return value


def _image_file(docker: Docker, content: Content) -> str:
    """dockerLoad names a file, whose content counts."""
    path = docker.load.removeprefix("file://")
    return content.sums.of(path) if docker.load and os.path.isfile(path) else ""
