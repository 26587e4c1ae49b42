"""What commands have printed."""

from pathlib import Path


def log_tail(path: str, most_bytes: int) -> tuple[str, bool]:
    """The last bytes of a file as text, and whether that is all of it; empty if there is no such regular file.

    Whatever a command has put into the place of its file (a pipe, a device) is not waited for.
    """
    try:
        if not path or not Path(path).is_file():
            return "", True
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            return file.read(most_bytes).decode("utf-8", "replace"), size <= most_bytes
    except (OSError, ValueError):
        return "", True
