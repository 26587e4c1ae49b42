"""Files that a job hands out: from the paths its command saw back to locations, checked, sized and summed."""

import hashlib
import os
import stat
from typing import Any
from urllib.parse import unquote

from cwlbalsam.cwl.staging import Stage, below, write_text
from cwlbalsam.cwl.values import Value, check_name, check_shape, is_remote, outermost, path_of_uri, set_name, uri_of
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.names import LITERALS

_LINKS_FOLLOWED = 40
_BLOCK = 1 << 20
_EMPTY_SHA1 = "sha1$da39a3ee5e6b4b0d3255bfef95601890afd80709"


class Settling:
    """Settles the output values of one job; remembers what it found, so each file is resolved and read once."""

    def __init__(self, stage: Stage, checksums: bool) -> None:
        self.stage = stage
        self.checksums = checksums
        self._places: dict[str, tuple[str, os.stat_result]] = {}
        self._sums: dict[str, str] = {}
        self._literals = 0
        self._own = uri_of(stage.outdir)  # inputs that are handed on keep the checksum they have, or get it at the end

    def settle_all(self, value: Any) -> None:
        """Give every File and Directory its final location and drop what means something only inside the job."""
        for found in outermost(value):
            self._settle(found)

    def _settle(self, value: Value) -> None:
        check_shape(value)
        if "path" in value or "location" in value:
            if is_remote(value) and "path" not in value:
                return
            location, found = self.locate(self._seen(value))
            self.describe(value, location, found)
        elif value["class"] == "File":
            self._write_literal(value)
        elif "listing" not in value:
            raise JobError(f"an output Directory has no path, location or listing: {value!r:.200}")
        value.pop("path", None)
        value.pop("dirname", None)
        if value["class"] == "Directory" and "location" in value:
            value.pop("listing", None)
            self._check_tree(path_of_uri(value["location"]))
        for key in ("secondaryFiles", "listing"):
            for inner in value.get(key) or ():
                self._settle(inner)

    def _seen(self, value: Value) -> str:
        path = value.get("path")
        if "\0" in (path or ""):
            raise JobError(f"output path {path!r} holds a NUL character")
        if path is None:
            location: str = value["location"]
            path = path_of_uri(location) if location.startswith("/") or ":" in location else unquote(location)
        elif path.startswith("file://"):
            path = path_of_uri(path)
        return os.path.normpath(os.path.join(self.stage.seen_outdir, path))

    def describe(self, value: Value, location: str, found: os.stat_result) -> None:
        """Fill in location, names, and of a File size and checksum."""
        is_directory = stat.S_ISDIR(found.st_mode)
        if is_directory != (value["class"] == "Directory"):
            kind = "directory" if is_directory else "file"
            raise JobError(f"output {path_of_uri(location)} is a {kind}, not a {value['class']}")
        value["location"] = location
        if "basename" not in value:
            set_name(value, os.path.basename(path_of_uri(location)))
        else:
            check_name(value["basename"])
        if not is_directory:
            if "nameroot" not in value:
                set_name(value, value["basename"])
            value["size"] = found.st_size
            if self.checksums and (self.stage.changes_inputs or location.startswith(self._own)):
                value["checksum"] = self.checksum(location, found.st_size)

    def checksum(self, location: str, size: int) -> str:
        if size == 0:
            return _EMPTY_SHA1
        known = self._sums.get(location)
        if known is None:
            known = self._sums[location] = checksum_of(path_of_uri(location))
        return known

    # --- where it is ---------------------------------------------------------------------------------------------

    def locate(self, seen: str) -> tuple[str, os.stat_result]:
        """Location and status of what the command saw at a path.

        Raises JobError if that is neither in the output directory nor something that was staged for this job.
        """
        known = self._places.get(seen)
        if known is None:
            location = self._location(seen)
            path = path_of_uri(location)
            try:
                known = location, os.stat(path)
            except OSError as error:
                raise JobError(f"output {path}: {error.strerror}") from error
            if not stat.S_ISREG(known[1].st_mode) and not stat.S_ISDIR(known[1].st_mode):
                raise JobError(f"output {path} is neither a file nor a directory")
            self._places[seen] = known
        return known

    def _location(self, seen: str) -> str:
        """Follow links by hand: in a container they lead to paths that mean something only there."""
        stage = self.stage
        current = seen
        for _ in range(_LINKS_FOLLOWED):
            origin = stage.origin_of(current)
            if origin is not None:
                return origin
            inside = self._inside(current)
            if inside is None:
                return self._outside(seen, current)
            after = self._follow(inside)
            if after is None:
                return uri_of(stage.outdir + inside)
            current = after
        raise JobError(f"output {seen}: too many links, one after the other")

    def _inside(self, seen: str) -> str | None:
        stage = self.stage
        inside = below(seen, stage.seen_outdir)
        if inside is None:
            inside = below(seen, stage.outdir)
        if inside is None:
            inside = below(seen, os.path.realpath(stage.outdir))
        return inside

    def _follow(self, inside: str) -> str | None:
        """The seen path after the first link on the way through the output directory; None if there is none."""
        walked = ""
        names = inside.split("/")[1:]
        for index, name in enumerate(names):
            try:
                target = os.readlink(f"{self.stage.outdir}{walked}/{name}")
            except OSError:  # no link, or nothing there: found out by whoever opens it
                walked = f"{walked}/{name}"
                continue
            rest = "/".join(names[index + 1 :])
            return os.path.normpath(os.path.join(self.stage.seen_outdir + walked, target, rest))
        return None

    def _outside(self, seen: str, current: str) -> str:
        # In a container a path outside means nothing on the host, except that inputs' own locations may be handed on.
        origin = self.stage.origin_of_real(os.path.realpath(current))
        if origin is not None:
            return origin
        where = f"{seen} leads to {current}, which" if current != seen else f"{seen}"
        raise JobError(
            f"output {where} is neither in the output directory nor an input of this job",
            hint="copy it into the output directory",
        )

    def _check_tree(self, path: str) -> None:
        """See to it that every link inside an output directory leads to something that may be handed out."""
        inside = self._inside(path)
        if inside is None:
            return  # an input, handed on
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                entry = f"{folder}/{name}"
                if not os.path.islink(entry):
                    continue
                location = self._location(self.stage.seen_outdir + entry[len(self.stage.outdir) :])
                target = path_of_uri(location)
                if os.path.realpath(entry) != os.path.realpath(target):
                    _relink(entry, target)

    def _write_literal(self, value: Value) -> None:
        """A File given by its contents becomes a file in the output directory, so that later jobs find it."""
        contents = value.get("contents")
        if contents is None:
            raise JobError(f"an output File has no path, location or contents: {value!r:.200}")
        name = value.get("basename") or hashlib.sha256(contents.encode()).hexdigest()[:16]
        check_name(name)
        folder = self.stage.outdir
        while os.path.lexists(f"{folder}/{name}"):
            self._literals += 1
            folder = f"{self.stage.outdir}{LITERALS}/{self._literals}"
        write_text(f"{folder}/{name}", contents)
        set_name(value, name)
        location = uri_of(f"{folder}/{name}")
        self.describe(value, location, os.stat(f"{folder}/{name}"))


def _relink(entry: str, target: str) -> None:
    """Let a link that was right only inside a container lead to the same thing on the host."""
    temporary = f"{entry}.relink"
    os.symlink(target, temporary)
    os.replace(temporary, entry)


def checksum_of(path: str) -> str:
    """CWL's checksum of a file: sha1$ and hexadecimal digits."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may have become a FIFO since it was seen
        try:
            digest = hashlib.sha1(usedforsecurity=False)
            while data := os.read(file, _BLOCK):
                digest.update(data)
        finally:
            os.close(file)
    except OSError as error:
        raise JobError(f"cannot read output {path}: {error.strerror}") from error
    return "sha1$" + digest.hexdigest()
