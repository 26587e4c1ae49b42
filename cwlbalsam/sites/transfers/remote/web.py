"""Downloads and uploads by HTTP, at the site where the files are to be or are."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Optional, Tuple  # noqa: UP035 -- see File

File = Tuple[str, str, Optional[int]]  # noqa: UP006, UP045 -- Python 3.8 evaluates this one
Answer = Any  # urllib's answers have no common type
BLOCK = 1 << 18
THREADS = 8
TIMEOUT_SECONDS = 60
PROBLEMS = (OSError, http.client.HTTPException, ValueError)  # urllib's errors are OSErrors


def fetch(folder: str, files: list[File]) -> dict[str, str]:
    """files: [url, name, size or null]. Goes on with what is there. {name: message} of those that failed."""
    return _each(files, lambda url, name, size: _fetched(url, os.path.join(folder, name), size))


def _each(files: Iterable[tuple[str, str, Any]], work: Callable[[str, str, Any], None]) -> dict[str, str]:
    failed: dict[str, str] = {}

    def attempt(file: tuple[str, str, Any]) -> None:
        try:
            work(*file)
        except urllib.error.HTTPError as error:
            failed[file[1]] = f"{error.code} {error.reason}: {file[0]}"
        except PROBLEMS as error:
            failed[file[1]] = f"{file[0]}: {str(error) or type(error).__name__}"

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(attempt, files))
    return failed


def _fetched(url: str, path: str, size: int | None) -> None:
    """By ranges, as long as the server says that the file is the same one (its ETag or date, kept beside)."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("not supported: only http and https are")
    there = os.path.getsize(path) if os.path.exists(path) else 0
    mark = _read(path + ".etag")
    if there and not mark:
        there = 0
    headers = {"Range": f"bytes={there}-", "If-Range": mark} if there else {}
    request = urllib.request.Request(url, headers=dict(headers, **{"Accept-Encoding": "identity"}))  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left of the file after what is there
            raise
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range") or "")
        if whole and int(whole.group(1)) == there:
            return
        os.unlink(path)
        answer = urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)  # noqa: S310
    with answer:
        start = _start(answer, there)
        expected = answer.headers.get("Content-Length")
        new = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if not new.startswith("W/"):
            _write(path + ".etag", new)
        with open(path, "r+b" if start else "wb") as file:
            file.seek(start)
            done = _pour(answer, file)
    if expected is not None and done != int(expected):
        raise OSError(f"connection closed after {done} of {expected} bytes")
    if size is not None and start + done != size:
        raise OSError(f"the server's file has {start + done} bytes, not {size}: it has changed")


def _start(answer: Answer, there: int) -> int:
    """Where what the server sends begins in the file."""
    if answer.status != 206:
        return 0
    span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    if not span or int(span.group(1)) != there:
        raise OSError("the server sent another range than was asked for")
    return there


def _pour(answer: Answer, file: BinaryIO) -> int:
    done = 0
    buffer = memoryview(bytearray(BLOCK))
    while length := answer.readinto(buffer):
        file.write(buffer[:length])
        done += length
    return done


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii", errors="ignore") as file:
        file.write(text)


def send(folder: str, files: list[File]) -> dict[str, str]:
    """files: [path, name, size or null]; folder: a URL. PUT, then HEAD. {name: message} of those that failed."""
    return _each(files, lambda path, name, size: _sent(path, f"{folder}.{name}", size))


def _sent(path: str, url: str, size: int | None) -> None:
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        _ask("PUT", url, {"Content-Length": str(length)}, file)
    found = _ask("HEAD", url, {}).get("Content-Length")
    if found is None or int(found) != length or size not in (None, length):
        raise OSError(f"of {length} bytes {found} have arrived")


def rename(pairs: list[tuple[str, str, str]]) -> dict[str, str]:
    """pairs: [url, final url, name]. By WebDAV's MOVE, which a server does whole or not at all."""
    return _each([(url, name, final) for url, final, name in pairs], _renamed)


def _renamed(url: str, name: str, final: str) -> None:
    _ask("MOVE", url, {"Destination": final, "Overwrite": "T"})


def _ask(method: str, url: str, headers: dict[str, str], body: BinaryIO | None = None) -> Mapping[str, str]:
    """The headers of the answer. Raises OSError if it is none of success."""
    place = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    secure: dict[str, Any] = {"context": ssl.create_default_context()} if place.scheme == "https" else {}
    connection = kind(place.netloc, timeout=TIMEOUT_SECONDS, blocksize=BLOCK, **secure)
    try:
        connection.request(method, urllib.parse.urlunsplit(("", "", *place[2:4], "")), body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise OSError(f"{answer.status} {answer.reason}")
        return dict(answer.headers)
    except TimeoutError as error:
        raise OSError("operation timed out") from error
    finally:
        connection.close()


OPERATIONS = {operation.__name__: operation for operation in (fetch, send, rename)}
