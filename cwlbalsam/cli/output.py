"""What a command was asked for, and nothing else: to stdout or to a file."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Raw

from cwlbalsam.errors import UserError
from cwlbalsam.service.output_object import json_pieces, to_json


def print_text(text: str, path: str = "") -> None:
    """Prints a text, or writes it to a file, with one newline at its end.

    What UTF-8 cannot hold (odd file names) is escaped as JSON does. Raises UserError if the file cannot be written.
    """
    _print([text.removesuffix("\n").encode("utf-8", "backslashreplace")], path)


def print_object(value: Any, path: str = "") -> None:
    """Prints a value as JSON, or writes it to a file."""
    _print([to_json(value)], path)


def print_outputs(outputs: Mapping[str, Raw] | None, path: str = "") -> None:
    """Prints an output object as JSON, or writes it to a file."""
    _print([b"null"] if outputs is None else json_pieces(outputs), path)


def _print(pieces: Iterable[bytes], path: str) -> None:
    if path:
        try:
            with Path(path).open("wb") as file:
                file.writelines(pieces)
                file.write(b"\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
    else:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
