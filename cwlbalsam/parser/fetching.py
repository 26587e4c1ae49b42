"""Texts that documents are made of: fetched, remembered, and checked before a YAML reader sees them."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from schema_salad.exceptions import ValidationException
from schema_salad.fetcher import DefaultFetcher

from cwlbalsam.parser.bombs import check_aliases

MAX_DEPTH = 1000  # of brackets; the YAML reader takes quadratic time
SURROGATE_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


class RecordingFetcher(DefaultFetcher):  # type: ignore[misc]
    """Notes the sha256 of every text that a compilation reads, for the Program cache."""

    def __init__(self, known: dict[str, Any], session: Any, files: dict[str, str]) -> None:
        super().__init__(known, session)
        self.files = files

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        """See DefaultFetcher."""
        if url.startswith("file:"):
            _check_regular(unquote(urlsplit(url).path))
        builtin = isinstance(self.cache.get(url), str)
        try:
            text = super().fetch_text(url, content_types)
        except UnicodeDecodeError as error:
            raise ValidationException(f"{show_uri(url)} is not a text in UTF-8 (byte {error.start})") from error
        if not builtin and url not in self.files:
            _check_depth(text)
            check_aliases(text, show_uri(url))
            # Of a file's bytes, since reading it as text has changed its line ends.
            data = Path(unquote(urlsplit(url).path)).read_bytes() if url.startswith("file:") else text.encode()
            self.files[url] = hashlib.sha256(data).hexdigest()
        return SURROGATE_PAIR.sub(_join_surrogates, text)


def _join_surrogates(pair: re.Match[str]) -> str:
    """JSON writes rare characters as two escapes; a YAML reader would make two halves of them."""
    return (chr(int(pair[1], 16)) + chr(int(pair[2], 16))).encode("utf-16", "surrogatepass").decode("utf-16")


def show_uri(uri: str) -> str:
    """A path for a `file:` URI (or for a path relative to the current directory), else the URI."""
    return _path_or_uri(uri) if "://" in uri else str(Path(uri).resolve())


@cache
def _path_or_uri(uri: str) -> str:
    return unquote(urlsplit(uri).path) if uri.startswith("file://") else uri


def _check_depth(text: str) -> None:
    """Refuse texts whose brackets nest so deeply that reading them would take for ever."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in re.finditer(r"[][{}]", text):
        depth = depth + 1 if match[0] in "[{" else max(depth - 1, 0)
        if depth > MAX_DEPTH:
            raise ValidationException("nested too deeply")


def _check_regular(path: str) -> None:
    """Raises ValidationException for a device, or a FIFO that no shell has made: it may never end."""
    file, given = Path(path), path.startswith(("/dev/fd/", "/dev/stdin", "/proc/"))
    if file.exists() and not file.is_file() and not given:
        raise ValidationException(f"{path} is not a regular file")
