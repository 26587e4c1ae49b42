"""Moves, copies and links of outputs to their final places: whole or not at all, and to be undone until the end."""

import errno
import os
import shutil
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from cwlbalsam.cwl.copying import copy_directory, copy_file, link_file
from cwlbalsam.errors import JobError

Kind = Literal["folder", "write", "copy", "move", "link"]


class Action(Struct):
    """One thing to do: make a folder, write a literal, copy, move or link a file or tree."""

    kind: Kind
    target: str
    source: str = ""
    text: str = ""


class Intent(Struct):
    """What is about to be done to the output directory, so that it can be undone.

    moves: (source, target), of single files where a directory is merged into another one. copies: targets, of links,
    too.
    """

    pid: int
    moves: list[tuple[str, str]] = []
    copies: list[str] = []


class RealPaths:
    """os.path.realpath for many absolute paths, which have most of their folders in common."""

    def __init__(self) -> None:
        self._folder = lru_cache(maxsize=256)(self.of)

    def of(self, path: str) -> str:
        """The path without links in it."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        real = f"{self._folder(folder).rstrip('/')}/{name}"
        return os.path.realpath(real) if os.path.islink(real) else real


def perform(actions: list[Action]) -> None:
    """Each file appears under its name whole or not at all."""
    for action in actions:
        try:
            os.makedirs(os.path.dirname(action.target), exist_ok=True)
            if action.kind == "folder":
                os.makedirs(action.target, exist_ok=True)
            elif action.kind == "write":
                _write(action.target, action.text)
            else:
                _transfer(action.kind, action.source, action.target)
        except OSError as error:
            raise JobError(f"cannot put output {action.target} in place: {error.strerror}") from error


def intent_of(actions: list[Action]) -> Intent:
    """What the actions are about to do."""
    intent = Intent(os.getpid())
    for action in actions:
        if action.kind == "write":
            intent.copies.append(action.target)
        elif action.kind != "folder":
            pairs = _merged(action.source, action.target)
            if action.kind == "move":
                intent.moves += pairs
            else:
                intent.copies += [target for _, target in pairs]
    return intent


def _merged(source: str, target: str) -> Iterator[tuple[str, str]]:
    """What is moved or copied as a whole."""
    if os.path.isdir(source) and os.path.isdir(target):
        for name in sorted(os.listdir(source)):
            yield from _merged(f"{source}/{name}", f"{target}/{name}")
    else:
        yield source, target


def undo(intent: Intent) -> None:
    """Bring back what was moved, and delete what was half copied."""
    for source, target in reversed(intent.moves):
        if not os.path.lexists(source) and os.path.lexists(target):
            os.rename(target, source)
    for target in (*intent.copies, *(target for _, target in intent.moves)):
        partial = _partial(target, intent.pid)
        if os.path.isdir(partial):
            shutil.rmtree(partial)
        elif os.path.lexists(partial):
            os.unlink(partial)


def _partial(target: str, pid: int = 0) -> str:
    folder, name = os.path.split(target)
    return f"{folder}/.{name[:200]}.part-{pid or os.getpid()}"


def _write(target: str, text: str) -> None:
    partial = _partial(target)
    with open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(partial, target)


def _transfer(kind: Kind, source: str, target: str) -> None:
    if os.path.isdir(source) and os.path.isdir(target):
        for inner, beside in list(_merged(source, target)):
            _transfer(kind, inner, beside)
        return
    if kind == "move":
        try:
            os.rename(source, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    partial = _partial(target)
    one = link_file if kind == "link" else copy_file
    if os.path.isdir(source):
        copy_directory(source, partial, one)
    else:
        one(source, partial)
    os.replace(partial, target)
