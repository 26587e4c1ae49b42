"""File and Directory values: dicts with `class`, and a `location` (a URI) or literal `contents` or `listing`."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import msgspec

from cwlbalsam.errors import JobError

Value = dict[str, Any]

_PLAIN = re.compile(r"[A-Za-z0-9_.\-~/]*").fullmatch
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
CONTENTS_LIMIT = 64 * 1024
MSGPACK_INTEGERS = range(-(2**63), 2**64)


def uri_of(path: str) -> str:
    """file: URI of an absolute path."""
    if _PLAIN(path):
        return "file://" + path
    return "file://" + quote(path.encode("utf-8", "surrogateescape"))


def path_of_uri(uri: str) -> str:
    """Path of a file: URI; a plain absolute path is one, too. Raises JobError for other schemes."""
    if uri.startswith("file://"):
        rest = uri[7:]
        if not rest.startswith("/"):
            host, _, tail = rest.partition("/")
            if host != "localhost":
                raise JobError(f"{uri!r} is on another host; only local files, http(s) and s3 can be read")
            rest = "/" + tail
        path = unquote(rest, errors="surrogateescape") if "%" in rest else rest
        if "\0" in path:
            raise JobError(f"{uri!r} holds a NUL character")
        return path
    if uri.startswith("/"):
        return uri
    scheme = _SCHEME(uri)
    if scheme is None:
        raise JobError(f"location {uri!r} is relative; nothing says to what")
    raise JobError(
        f"cannot read {uri!r}: locations with scheme '{scheme[1]}' are not supported",
        hint="use a path, a file: URI, or an http(s) or s3 URL",
    )


def is_file(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class") == "File"


def is_file_or_directory(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class") in {"File", "Directory"}


def is_remote(value: Value) -> bool:
    return str(value.get("location", "")).startswith(("http://", "https://", "s3://"))


def path_of(value: Value) -> str:
    """Host path of a File or Directory that has a location."""
    location = value.get("location")
    if not isinstance(location, str):
        raise JobError(f"{value.get('class')} {value.get('basename', '')!r} has no location")
    return path_of_uri(location)


def outermost(value: Any) -> Iterator[Value]:
    """The Files and Directories in a value, without their secondaryFiles and listings."""
    if isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            yield value
        else:
            for item in value.values():
                if isinstance(item, dict | list):
                    yield from outermost(item)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield from outermost(item)


def files_and_directories(value: Any) -> Iterator[Value]:
    """All Files and Directories in a value, with secondaryFiles and listings, each before what it holds."""
    for found in outermost(value):
        yield found
        for key in ("secondaryFiles", "listing"):
            inner = found.get(key)
            if inner:
                yield from files_and_directories(inner)


def set_name(value: Value, basename: str) -> None:
    value["basename"] = basename
    if value["class"] == "File":
        value["nameroot"], value["nameext"] = split_name(basename)


def split_name(basename: str) -> tuple[str, str]:
    """Nameroot and nameext; a leading dot starts no extension."""
    return os.path.splitext(basename)


def check_shape(value: Value) -> None:
    """Raises JobError unless what a File or Directory says of itself is of the right kinds. Nulls are taken out."""
    for key in ("location", "path", "basename", "contents"):
        if key in value and not isinstance(value[key], str):
            if value[key] is not None:
                raise JobError(f"'{key}' of a {value['class']} must be a string, not {summary(value[key])}")
            del value[key]
    for key in ("secondaryFiles", "listing"):
        if key in value and not (isinstance(value[key], list) and all(map(is_file_or_directory, value[key]))):
            if value[key] is not None:
                raise JobError(f"'{key}' of a {value['class']} must be Files and Directories: {summary(value[key])}")
            del value[key]


def normalise(value: Value) -> None:
    """Bring one File or Directory into the form that all else relies on.

    `path` becomes `location`; basename, nameroot and nameext are filled in; a literal's made-up location goes.
    Raises JobError if it is neither a reference nor a literal, or its basename is not a file name.
    """
    check_shape(value)
    location = value.get("location")
    if location is not None and location.startswith("_:"):
        del value["location"]
        location = None
    if location is None and "path" in value:
        location = value["path"]
        if not _SCHEME(location):
            location = uri_of(location) if location.startswith("/") else location
        value["location"] = location
    value.pop("path", None)
    kind = value["class"]
    if location is None:
        needed = "contents" if kind == "File" else "listing"
        if needed not in value:
            raise JobError(f"a {kind} without location, path and {needed} refers to nothing: {summary(value)}")
        basename = value.get("basename")
        if basename is None:
            return
    else:
        if location.startswith("/"):
            value["location"] = location = uri_of(location)
        if location.endswith("/") and len(location) > 8:
            value["location"] = location = location.rstrip("/")
        basename = value.get("basename")
        if basename is None:
            basename = _name_in(location)
    check_name(basename)
    if value.get("basename") != basename or (kind == "File" and "nameroot" not in value):
        set_name(value, basename)


def _name_in(location: str) -> str:
    if location.startswith(("http://", "https://")):
        location = location.partition("?")[0].partition("#")[0]
    name = location.rpartition("/")[2]
    if location.startswith("s3://"):  # keys are not quoted
        return name
    return unquote(name, errors="surrogateescape") if "%" in name else name


def check_name(basename: Any) -> None:
    """Raises JobError unless it is one component of a path."""
    if not isinstance(basename, str) or basename in {"", ".", ".."} or "/" in basename or "\0" in basename:
        raise JobError(f"{basename!r} is not a file name")


def normalise_all(value: Any) -> None:
    for found in files_and_directories(value):
        normalise(found)


def strip_paths(value: Any) -> None:
    """Take out `path` and `dirname`, which mean something only while a job runs."""
    for found in files_and_directories(value):
        found.pop("path", None)
        found.pop("dirname", None)


def summary(value: Any, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def open_regular(path: str) -> BinaryIO:
    """A file opened for reading. Raises OSError for a FIFO or device: one that never ends would stop the worker."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(kind, "it is a directory" if kind == errno.EISDIR else "it is not a regular file", path)
    return os.fdopen(number, "rb")


def decode_json(text: str | bytes) -> Any:
    """JSON that others have written. Integers beyond 64 bits, which no message can hold, become floats.

    Raises msgspec.DecodeError, and RecursionError if it is nested too deeply to be passed on.
    """
    value = msgspec.json.decode(text)
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        return json.loads(text, parse_int=lambda digits: n if (n := int(digits)) in MSGPACK_INTEGERS else float(digits))
    return value


def read_contents(path: str, version: str) -> str:
    """For loadContents. v1.2 refuses files beyond 64 KiB, before that the first 64 KiB are meant."""
    try:
        with open_regular(path) as file:
            data = file.read(CONTENTS_LIMIT + 1)
    except OSError as error:
        raise JobError(f"loadContents: cannot read {path}: {error.strerror}") from error
    cut = len(data) > CONTENTS_LIMIT
    if cut and version not in {"v1.0", "v1.1"}:
        raise JobError(f"loadContents: {path} is larger than {CONTENTS_LIMIT} bytes, the limit of the specification")
    try:
        return data[:CONTENTS_LIMIT].decode()
    except UnicodeDecodeError as error:
        if cut and error.start >= CONTENTS_LIMIT - 3:
            return data[: error.start].decode()
        raise JobError(f"loadContents: {path} is not UTF-8 text ({error.reason} at byte {error.start})") from error


def load_contents(value: Value, version: str) -> None:
    if isinstance(value.get("contents"), str) and "location" not in value:
        if len(value["contents"].encode()) > CONTENTS_LIMIT and version not in {"v1.0", "v1.1"}:
            raise JobError(f"loadContents: literal {value.get('basename')!r} is larger than {CONTENTS_LIMIT} bytes")
        return
    value["contents"] = read_contents(path_of(value), version)


def load_listing(value: Value, depth: str) -> None:
    """Fill `listing` of a Directory; depth: shallow_listing or deep_listing. What is there already stays."""
    if depth == "no_listing":
        return
    if "listing" not in value and "location" in value:
        value["listing"] = list_directory(path_of(value))
    if depth == "deep_listing":
        for entry in value.get("listing", ()):
            if entry.get("class") == "Directory":
                load_listing(entry, depth)


def list_directory(path: str) -> list[Value]:
    """Entries in order of name, with sizes; links count as what they lead to, dangling ones are left out."""
    entries: list[Value] = []
    try:
        with os.scandir(path) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                value: Value
                if entry.is_dir():
                    value = {"class": "Directory", "location": uri_of(entry.path)}
                elif entry.is_file():
                    value = {"class": "File", "location": uri_of(entry.path), "size": entry.stat().st_size}
                else:
                    continue
                set_name(value, entry.name)
                entries.append(value)
    except OSError as error:
        raise JobError(f"cannot list directory {path}: {error.strerror}") from error
    return entries
