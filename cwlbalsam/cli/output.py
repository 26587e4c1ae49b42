"""What goes to stdout: exactly what was asked for."""

import json
import sys
from typing import Any

from cwlbalsam.service.graph import write_text


def print_text(text: str) -> None:
    """Prints a text with one newline at its end. What UTF-8 cannot hold (odd file names) is escaped as JSON does."""
    data = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "backslashreplace")
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_object(value: Any, path: str = "") -> None:
    """Prints a value as JSON, or writes it to a file."""
    text = json.dumps(value, indent=4, ensure_ascii=False)
    if path:
        write_text(f"{text}\n", path)
    else:
        print_text(text)
