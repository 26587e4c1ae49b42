"""Where a job's files are: on the host, and where its command sees them."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from cwlbalsam.cwl.values import Value, check_name, outermost, path_of, path_of_uri, set_name, uri_of
from cwlbalsam.errors import JobError

INPUTS_IN_CONTAINER = "/var/lib/cwl"
OUTDIR_IN_CONTAINER = "/var/spool/cwl-job"
TMPDIR_IN_CONTAINER = "/tmp"  # noqa: S108 - the container's own

# Names that mean the same with and without a shell's quotes; the set that cwltool accepts.
SAFE_NAME = re.compile(r"[\w.+,\-:@\]^\u2600-\u26FF\U0001f600-\U0001f64f]+").fullmatch


class Mount(Struct):
    """A host path that a container sees at `target`."""

    source: str
    target: str
    writable: bool = False


class Stage:
    """The places of one job. Paths are host paths, or `seen` paths: those that the command sees.

    origins: seen path of what was staged -> location of the original. moved: location -> seen path of inputs that
    InitialWorkDirRequirement put into the output directory.
    """

    def __init__(self, directory: str, tmpdir: str, seen_outdir: str | None = None) -> None:
        self.outdir = directory
        self.tmpdir = tmpdir
        self.contained = seen_outdir is not None
        self.seen_outdir = seen_outdir if seen_outdir is not None else directory
        self.seen_tmpdir = TMPDIR_IN_CONTAINER if self.contained else tmpdir
        self.inputs = directory + ".in"
        self.mounts: list[Mount] = []
        self.origins: dict[str, str] = {}
        self.moved: dict[str, str] = {}
        self.only_safe_names = False
        self.changes_inputs = False  # in place
        self._folders: list[dict[str, str]] = []  # name -> location
        self._alone: set[int] = set()
        self._known: dict[tuple[tuple[str, str], ...], int] = {}  # names and locations of a group -> its folder
        self._searched: dict[str, int] = {}  # name -> where its search for a folder goes on

    # --- staging inputs ------------------------------------------------------------------------------------------

    def stage_inputs(self, inputs: dict[str, Any]) -> None:
        """Link or mount every File and Directory and set its `path`."""
        for value in inputs.values():
            if type(value) in (dict, list):
                for found in outermost(value):
                    self._stage_group(found)

    def _stage_group(self, value: Value) -> None:
        """Stage a value with its secondaryFiles into one folder in which no name means something else."""
        group = list(_with_secondary_files(value))
        names: dict[str, str] = {}
        for member in group:
            if "basename" not in member:
                set_name(member, _literal_name(member))
            name = member["basename"]
            check_name(name)
            if self.only_safe_names and not SAFE_NAME(name):
                raise JobError(
                    f"file name {name!r} has characters that a shell would not take literally",
                    hint="shellQuote is false for a part of the command; allow such names with --relax-path-checks",
                )
            source = member.get("location") or f"literal:{id(member)}"
            if names.setdefault(name, source) != source:
                raise JobError(f"{value['basename']!r} has two secondary files named {name!r}")
        number = self._folder_for(names)
        for member in group:
            self._put(member, number)

    def _folder_for(self, names: dict[str, str]) -> int:
        """Lone files share a folder; a file with secondary files has one of its own, for tools that look around."""
        key = tuple(sorted(names.items()))
        if key not in self._known:
            if len(names) > 1:
                self._known[key] = len(self._folders)
                self._alone.add(len(self._folders))
            else:
                self._known[key] = self._free_folder(key[0][0])
            if self._known[key] == len(self._folders):
                self._folders.append({})
        return self._known[key]

    def _free_folder(self, name: str) -> int:
        """The first shared folder without the name; a scatter's outputs have one name: no search starts anew."""
        number = self._searched.get(name, 0)
        while number in self._alone:
            number += 1
        self._searched[name] = number + 1
        return number

    def _folder(self, root: str, number: int) -> str:
        """On the host further folders lie beside the first, where no input's name can be in their way."""
        if root == INPUTS_IN_CONTAINER:
            return f"{root}/{number}"
        return f"{root}.{number}" if number else root

    def _put(self, value: Value, number: int) -> None:
        name = value["basename"]
        host_folder = self._folder(self.inputs, number)
        seen_folder = self._folder(INPUTS_IN_CONTAINER, number) if self.contained else host_folder
        seen = f"{seen_folder}/{name}"
        taken = self._folders[number]
        if name not in taken:
            taken[name] = value.get("location") or f"literal:{id(value)}"
            if "location" in value:
                self.bring(path_of(value), f"{host_folder}/{name}", seen)
            else:
                self.write_literal(value, f"{host_folder}/{name}", seen)
        if "location" in value:
            self.origins[seen] = value["location"]
        set_path(value, seen)

    # --- one file or directory at a place ------------------------------------------------------------------------

    def bring(self, source: str, host: str, seen: str, *, writable: bool = False) -> None:
        """Make a host file or directory visible at `seen`: a mount in a container, else a link at `host`.

        Raises JobError if it is gone: not every command would say so.
        """
        if not os.path.exists(source):
            raise JobError(f"input {source} is not there any more, or cannot be reached")
        if self.contained:
            self.mounts.append(Mount(source, seen, writable))
            return
        try:
            os.symlink(source, host)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(host), exist_ok=True)
            os.symlink(source, host)
        except FileExistsError as error:
            raise JobError(f"two different files are to be staged as {os.path.basename(host)!r}") from error

    def write_literal(self, value: Value, host: str, seen: str) -> None:
        """Make a literal real; from then on it has a location."""
        if value["class"] == "File":
            write_text(host, value["contents"])
            if self.contained:
                self.mounts.append(Mount(host, seen))
            value["location"] = uri_of(host)
            value.setdefault("size", len(value["contents"].encode()))
            return
        os.makedirs(host, exist_ok=True)
        if self.contained and not value["listing"]:
            self.mounts.append(Mount(host, seen))
        for entry in value["listing"]:
            for member in _with_secondary_files(entry):
                self._put_inside(member, host, seen)

    def _put_inside(self, value: Value, host: str, seen: str) -> None:
        if "basename" not in value:
            set_name(value, _literal_name(value))
        check_name(value["basename"])
        host, seen = f"{host}/{value['basename']}", f"{seen}/{value['basename']}"
        if "location" in value:
            self.bring(path_of(value), host, seen)
        else:
            self.write_literal(value, host, seen)
        if "location" in value:
            self.origins[seen] = value["location"]

    # --- the way back --------------------------------------------------------------------------------------------

    def to_host(self, seen: str) -> str:
        """Host path of a path that the command sees; a relative one is in the output directory."""
        seen = os.path.normpath(os.path.join(self.seen_outdir, seen))
        origin = self.origin_of(seen)
        if origin is not None:
            return path_of_uri(origin)
        inside = below(seen, self.seen_outdir)
        if inside is not None:
            return self.outdir + inside
        if self.contained:
            raise JobError(f"{seen} is neither an input nor in the output directory")
        return seen

    def origin_of(self, seen: str) -> str | None:
        """Location of the original that was staged at a seen path or above it."""
        if not self.origins:
            return None
        rest = ""
        while len(seen) > 1:
            location = self.origins.get(seen)
            if location is not None:
                return location if not rest else location.rstrip("/") + uri_of(rest)[7:]
            seen, _, name = seen.rpartition("/")
            rest = f"/{name}{rest}"
        return None

    def origin_of_real(self, real: str) -> str | None:
        """Location of a staged original by its resolved host path, or of something inside a staged directory."""
        for location in dict.fromkeys(self.origins.values()):
            path = path_of_uri(location)
            inside = below(real, os.path.realpath(path))
            if inside is not None:
                return uri_of(path + inside)
        return None


def below(path: str, directory: str) -> str | None:
    """What follows `directory` in `path`: "" for itself, "/a/b" below it, None elsewhere."""
    if path == directory:
        return ""
    return path[len(directory) :] if path.startswith(directory.rstrip("/") + "/") else None


def set_path(value: Value, seen: str) -> None:
    """Set `path` and what follows from it, also of what a listing holds."""
    folder, _, name = seen.rpartition("/")
    value["path"] = seen
    if value.get("basename") != name:
        set_name(value, name)
    if value["class"] == "File":
        value["dirname"] = folder
        if "nameroot" not in value:
            set_name(value, name)
    else:
        for entry in value.get("listing") or ():
            for member in _with_secondary_files(entry):
                set_path(member, f"{seen}/{member['basename']}")


def _with_secondary_files(value: Value) -> Iterator[Value]:
    yield value
    inner: Iterable[Value] = value.get("secondaryFiles") or ()
    for member in inner:
        yield from _with_secondary_files(member)


def _literal_name(value: Value) -> str:
    text = value.get("contents")
    return hashlib.sha256((text if isinstance(text, str) else "").encode()).hexdigest()[:16]


def write_text(path: str, text: str) -> None:
    """Write a new file, with its folder. Raises JobError if something is there already."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise JobError(f"two different files are to be staged as {os.path.basename(path)!r}") from error
    except UnicodeEncodeError as error:
        raise JobError(f"the contents of {os.path.basename(path)!r} are not text") from error
