"""Requests to the process that coordinates a run: files in a folder, each whole or not at all, taken in their order."""

import os
import time
from pathlib import Path

_SUFFIX = ".request"
_REFUSED = ".refused"


class Mailbox:
    """folder: made by whoever first asks for something. Who takes a request keeps what it asks for, then drops it:
    after a crash it may be seen again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, body: bytes) -> Path:
        """Durable once this returns; the path is the request's name. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{os.getpid()}"
        hidden, path = self._folder / f".{name}", self._folder / f"{name}{_SUFFIX}"
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(path)
        return path

    def waiting(self) -> list[Path]:
        """The oldest first."""
        try:
            names = [entry.name for entry in os.scandir(self._folder) if entry.name.endswith(_SUFFIX)]
        except OSError:
            return []
        return [self._folder / name for name in sorted(names)]

    def drop(self, request: Path, refusal: str = "") -> None:
        """It is dealt with. refusal: why nothing of it was done, for who asked."""
        if refusal:
            request.with_suffix(_REFUSED).write_text(refusal, encoding="utf-8")
        request.unlink(missing_ok=True)


def refusal_of(request: Path) -> str:
    """Why it was refused; "" if it was not. Asked once."""
    path = request.with_suffix(_REFUSED)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    path.unlink(missing_ok=True)
    return text
