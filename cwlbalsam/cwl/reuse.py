"""Results of earlier runs taken over: a folder of jobs' directories, and an entry for each job that ended well.

`<folder>/ab/ab12...-<random>` (and what else begins so) belongs to one job that is running or has run;
`<folder>/ab/ab12....done` names the one whose result counts for that fingerprint. An entry appears whole, by a rename,
after the result is complete, and counts only while all its files are as they were. So runs need not know of each other.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.checksums import Checksums
from cwlbalsam.cwl.fingerprint import Content, fingerprint
from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.pruning import ENTRY, SUMS
from cwlbalsam.cwl.records import Docker, Program
from cwlbalsam.cwl.staging import Stage
from cwlbalsam.cwl.values import files_and_directories, is_remote, path_of, uri_of
from cwlbalsam.errors import JobError

_OWN, _INPUT = "own:", "input:"  # what locations begin with in an entry

FileStamp = tuple[str, int, int, str]
"""Path below the job's directory, size, mtime in ns (-1, -1 of a folder); behind a link the checksum instead."""


class Entry(Struct, frozen=True):
    """A result. name: of the job's directory. Locations are relative to it, or name an input by its number."""

    name: str
    outputs: dict[str, Any]
    exit_code: int
    log: str
    files: list[FileStamp]


class Taken(Struct, frozen=True):
    """A result that was taken over."""

    outputs: dict[str, Any]
    exit_code: int
    log: str


class Claim:
    """One job that may take over a result, or leave one. directory: where it runs if it has to."""

    def __init__(self, folder: str, key: str, content: Content) -> None:
        self._shelf = f"{folder}/{key[:2]}"
        self._key = key
        self._content = content
        self.directory = f"{self._shelf}/{key}-{os.urandom(4).hex()}"

    @property
    def _path(self) -> str:
        return f"{self._shelf}/{self._key}{ENTRY}"

    def take_over(self) -> Taken | None:
        """The result of an earlier job. An entry that is no longer true is dropped."""
        try:
            with open(self._path, "rb") as file:
                data = file.read()
            os.utime(self._path)  # before the files are looked at: whoever prunes looks at the time last
        except OSError:
            return None
        try:
            entry = msgspec.msgpack.decode(data, type=Entry)
            if not entry.name.startswith(self._key) or "/" in entry.name:
                raise ValueError("an entry of another job")
            place = _Place(f"{self._shelf}/{entry.name}", self._content)
            place.relocate(entry.outputs, place.restored)
            if place.stamps(entry.outputs) != entry.files:
                raise ValueError("its files have changed")
        except (msgspec.MsgspecError, ValueError, LookupError, OSError, JobError):
            with suppress(OSError):
                os.unlink(self._path)
            return None
        return Taken(entry.outputs, entry.exit_code, entry.log if os.path.exists(entry.log) else "")

    def covers(self, stage: Stage) -> bool:
        """Whether all that was staged is among the inputs: an expression may name other files."""
        place = _Place(self.directory, self._content)
        return all(place.is_known(location) for location in {*stage.origins.values(), *stage.moved})

    def keep(self, outputs: dict[str, Any], exit_code: int, log: str) -> None:
        """Leave a result for later, unless it is not certain what it depends on. Of several, the last one counts."""
        with suppress(OSError, JobError, ValueError):
            kept = msgspec.msgpack.decode(msgspec.msgpack.encode(outputs))
            place = _Place(self.directory, self._content)
            files = place.stamps(kept)
            place.learn(kept)
            place.relocate(kept, place.stored)
            entry = Entry(os.path.basename(self.directory), kept, exit_code, log, files)
            if self._content.is_unchanged():
                _put(self._path, self.directory + ".part", msgspec.msgpack.encode(entry))


def _put(path: str, partial: str, data: bytes) -> None:
    with open(partial, "xb") as file:
        file.write(data)
    os.replace(partial, path)


class _Place:
    """A job's directory, and what lies in it and beside it."""

    def __init__(self, directory: str, content: Content) -> None:
        self._directory = directory
        self._uri = uri_of(directory)
        self._content = content

    def relocate(self, outputs: dict[str, Any], change: Callable[[str], str]) -> None:
        """Replace the locations of all Files and Directories."""
        for found in files_and_directories(outputs):
            if "location" in found and not is_remote(found):
                found["location"] = change(found["location"])

    def stored(self, location: str) -> str:
        """A location as an entry has it. Raises ValueError if it is neither in the job's places nor an input."""
        if self._is_own(location):
            return _OWN + location[len(self._uri) :]
        known = location
        while known not in self._content.numbers:
            known = known.rpartition("/")[0]
            if not known:
                raise ValueError(f"{location} is not the job's")
        return f"{_INPUT}{self._content.numbers[known]}:{location[len(known) :]}"

    def restored(self, location: str) -> str:
        """What `stored` made, for this job. Raises ValueError or IndexError if it is nothing of that kind."""
        if location.startswith(_OWN):
            found = self._uri + location[len(_OWN) :]
            if self._is_own(found) and ".." not in unquote(found).split("/"):
                return found
        elif location.startswith(_INPUT):
            number, _, rest = location[len(_INPUT) :].partition(":")
            known = self._content.locations[int(number)]
            if known and ".." not in unquote(rest).split("/"):
                return known + rest
        raise ValueError(f"{location} cannot be in an entry")

    def is_known(self, location: str) -> bool:
        """Whether it is the job's own or an input's."""
        try:
            return bool(self.stored(location))
        except ValueError:
            return False

    def _is_own(self, location: str) -> bool:
        return location == self._uri or location.startswith((self._uri + "/", self._uri + "."))

    # --- what is there -----------------------------------------------------------------------------------------------

    def stamps(self, outputs: dict[str, Any]) -> list[FileStamp]:
        """Of each file in the outputs that is the job's own. Raises OSError if one is missing."""
        found: list[FileStamp] = []
        for value in files_and_directories(outputs):
            if "location" in value and self._is_own(value["location"]):
                path = path_of(value)
                if value["class"] == "File":
                    found.append(self._file(path, linked=False))
                else:
                    found += self._tree(path, (), linked=False)
        return found

    def learn(self, outputs: dict[str, Any]) -> None:
        """Remember the checksums that were computed when the outputs were collected."""
        for value in files_and_directories(outputs):
            if "checksum" in value and self._is_own(value.get("location", "")):
                self._content.sums.learn(path_of(value), value["checksum"])

    def _file(self, path: str, *, linked: bool) -> FileStamp:
        status = os.stat(path)
        if linked:
            return self._name(path), status.st_size, -1, self._content.sums.of(path)
        return self._name(path), status.st_size, status.st_mtime_ns, ""

    def _name(self, path: str) -> str:
        return path[len(self._directory) :]

    def _tree(self, path: str, above: tuple[str, ...], *, linked: bool) -> Iterator[FileStamp]:
        real = os.path.realpath(path)
        if real in above:
            raise ValueError(f"{path} leads to a directory that holds it")
        yield self._name(path), -1, -1, ""
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                behind = linked or entry.is_symlink()
                if not entry.is_dir():
                    yield self._file(entry.path, linked=behind)
                else:
                    yield from self._tree(entry.path, (*above, real), linked=behind)


# --- which jobs ----------------------------------------------------------------------------------------------------


def claim_for(program: Program, frame: Frame, docker: Docker | None) -> Claim | None:
    """What a job may reuse; None if nothing may be reused, or nobody could tell whether it is the same.

    Only tools: the value of an ExpressionTool is sooner computed than looked up. A Program with in-place updates has
    jobs that change the outputs of others. Secrets shall not outlive their run.
    """
    settings, needs = frame.settings, frame.requirements
    if not settings.reuse_folder or needs.secrets or _updates_in_place(program):
        return None
    wanted = frame.evaluate(needs.work_reuse)
    if not isinstance(wanted, bool):
        raise wrong("WorkReuse: 'enableReuse'", "true or false", wanted, needs.work_reuse)
    if not wanted:
        return None
    content = Content(_checksums(settings.reuse_folder))
    try:
        return Claim(settings.reuse_folder, fingerprint(frame, docker, content), content)
    except (OSError, JobError, ValueError):  # the job itself will tell, if it is a mistake
        return None


@once_for_each
def _updates_in_place(program: Program) -> bool:
    return any(process.requirements.inplace_update for process in program.processes)


@lru_cache(maxsize=4)
def _checksums(folder: str) -> Checksums:
    return Checksums(f"{folder}/{SUMS}", folder + "/")
