"""What a command was asked for, and nothing else: to stdout or to a file."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.errors import UserError


def print_text(text: str, path: str = "") -> None:
    """Prints a text, or writes it to a file, with one newline at its end.

    What UTF-8 cannot hold (odd file names) is escaped as JSON does. Raises UserError if the file cannot be written.
    """
    data = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "backslashreplace")
    if path:
        try:
            Path(path).write_bytes(data)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def print_object(value: Any, path: str = "") -> None:
    """Prints a value as JSON, or writes it to a file."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=4).decode()
    except (UnicodeEncodeError, OverflowError):  # file names that are no UTF-8, integers beyond 64 bits
        text = json.dumps(value, indent=4, ensure_ascii=False)
    print_text(text, path)
