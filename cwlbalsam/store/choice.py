"""Which engine keeps a home's store: a small file, which is absent as long as that is SQLite.

It is replaced by a rename, so it says one thing or the other at any moment. What must stay secret is in a file of its
own that the user alone can read.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError

CHOICE_NAME = "store.json"
SECRET_NAME = "store.secret"  # noqa: S105 - a file's name


class Server(Struct, frozen=True, kw_only=True):
    """A private server. listen: host names or addresses for others to reach it by TCP; "" without TCP.

    host: where it runs. data, sockets: absolute folders. port: also in the socket's name.
    """

    host: str
    data: str
    sockets: str
    port: int
    listen: str = ""


class Choice(Struct, frozen=True, kw_only=True):
    """url: of a server of the user's own, without its password; "" if the server is private."""

    engine: Literal["sqlite", "postgres"] = "sqlite"
    url: str = ""
    server: Server | None = None


def read_choice(home: Path) -> Choice:
    """Raises UserError if the file is there and cannot be understood."""
    path = home / CHOICE_NAME
    try:
        choice = msgspec.json.decode(path.read_bytes(), type=Choice)
        if choice.engine == "postgres" and not choice.url and choice.server is None:
            raise msgspec.ValidationError("it names no server")
        return choice
    except (FileNotFoundError, NotADirectoryError):
        return Choice()
    except msgspec.DecodeError as error:
        raise UserError(
            f"{path}: {error}", hint="`cwlbalsam store use` writes it; delete it to go back to SQLite"
        ) from None


def write_choice(home: Path, choice: Choice) -> None:
    """Complete or not at all, and on the disk when it returns."""
    _write(home / CHOICE_NAME, msgspec.json.format(msgspec.json.encode(choice)) + b"\n")


def read_secret(home: Path) -> str:
    """The password that goes with the choice; "" if there is none."""
    try:
        return (home / SECRET_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def write_secret(home: Path, secret: str) -> None:
    """ "" removes it."""
    if secret:
        _write(home / SECRET_NAME, secret.encode())
    else:
        (home / SECRET_NAME).unlink(missing_ok=True)


def choice_stamp(home: Path) -> tuple[int, int]:
    """Another value whenever the choice was written again; cheap enough to ask in a transaction."""
    try:
        found = (home / CHOICE_NAME).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def refuse_if_moved(home: Path, stamp: tuple[int, int]) -> None:
    """Raises UserError if the store has moved to another engine since the stamp was taken."""
    if choice_stamp(home) != stamp:
        raise UserError(f"the store of {home} was moved by `cwlbalsam store` meanwhile", hint="start the command again")


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
