"""The Program cache: a compiled document is found again by what was read to compile it.

An entry is one file named by (document, options, versions); it lists every URL that was read with its sha256. Nothing
here imports cwltool or schema-salad unless a document must be compiled.
"""

import hashlib
import os
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from cwlbalsam import __version__
from cwlbalsam.cwl.records import Program
from cwlbalsam.errors import Problem
from cwlbalsam.parser.address import document_uri
from cwlbalsam.parser.apart import Good, compile_apart
from cwlbalsam.parser.options import UNREADABLE, CompileOptions

FETCH_SECONDS = 30.0


class Loaded(msgspec.Struct, frozen=True):
    """A Program, its msgpack as workers get it, the compiler's doubts, and the URLs of all that was read."""

    program: Program
    encoded: bytes
    warnings: tuple[Problem, ...]
    cached: bool
    files: tuple[str, ...] = ()


def load_program(name: str, options: CompileOptions, folder: Path | None) -> Loaded:
    """The Program of a document: from the cache if nothing that was read has changed, else compiled and kept.

    folder: of the cache; None: no cache. Raises DocumentError like `compile_document`.
    """
    path = folder / f"{_key(name, options)}.msgpack" if folder else None
    if path is not None and (found := _read(path)) is not None:
        return found
    compiled = compile_apart(name, options)
    if path is not None:
        _write(path, compiled)
    return _loaded(compiled, cached=False)


def _key(name: str, options: CompileOptions) -> str:
    parts = (document_uri(name).encode(), options.key(), *(text.encode() for text in _versions()))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    """What compiles: other versions may compile to something else, and so may an edited source tree."""
    package = Path(__file__).parent
    sources = [*package.iterdir(), package.parent / "cwl" / "records.py", package.parent / "cwl" / "expressions.py"]
    stats = [(path.name, path.stat()) for path in sorted(sources) if path.suffix == ".py"]
    edition = ",".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)
    return (__version__, edition, _version("cwltool"), _version("schema_salad"))


def _version(package: str) -> str:
    """The version of an installed package, read off its folder's name: importing importlib.metadata takes longer."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent.parent if spec is not None and spec.origin else Path()
    found = sorted(folder.glob(f"{package}-*.dist-info"))
    if len(found) == 1:
        return found[0].name
    from importlib.metadata import version

    return version(package)


def _read(path: Path) -> Loaded | None:
    """What an entry holds; None if there is none, it is damaged, or anything has changed since."""
    try:
        entry = msgspec.msgpack.decode(path.read_bytes(), type=Good)
        if any(_digest(url) != known for url, known in entry.files.items()):
            return None
        return _loaded(entry, cached=True)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _loaded(entry: Good, *, cached: bool) -> Loaded:
    program = msgspec.msgpack.decode(entry.program, type=Program)
    return Loaded(program, entry.program, entry.warnings, cached=cached, files=tuple(entry.files))


def _digest(url: str) -> str:
    """sha256 of what a URL holds now."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            data = Path(unquote(parts.path)).read_bytes()
        elif parts.scheme in ("http", "https"):
            from urllib.request import urlopen

            with urlopen(url, timeout=FETCH_SECONDS) as response:  # noqa: S310 (the scheme is checked above)
                data = response.read()
        else:
            return UNREADABLE
    except OSError:
        return UNREADABLE
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, entry: Good) -> None:
    """Keep an entry; a cache that cannot be written is no reason to fail."""
    import tempfile

    with suppress(OSError):
        path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # the home: its store holds inputs
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.msgpack.encode(entry))
        Path(name).rename(path)
