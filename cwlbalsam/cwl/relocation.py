"""The end of a run: its output files go into the user's output directory, under names that do not collide."""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from msgspec import Raw, Struct

from cwlbalsam.cwl.moving import Action, Intent, Kind, RealPaths, intent_of, perform
from cwlbalsam.cwl.packed import change_each
from cwlbalsam.cwl.settling import checksum_of
from cwlbalsam.cwl.staging import below
from cwlbalsam.cwl.values import (
    Value,
    check_name,
    files_and_directories,
    is_remote,
    list_directory,
    outermost,
    path_of,
    set_name,
    split_name,
    uri_of,
)
from cwlbalsam.errors import JobError


class Ownership(Struct, frozen=True):
    """What lies where, as real paths; it decides how an output comes to its final place.

    owned: the run's own directory: what lies in it is moved. lent: folders whose files may be gone tomorrow: they are
    copied. All else is the user's, and linked: a copy may take longer than the run. owned is "" to copy everything.
    """

    owned: str
    lent: tuple[str, ...] = ()

    def way(self, source: str) -> Kind:
        if not self.owned or any(below(source, folder) for folder in self.lent):
            return "copy"
        return "move" if below(source, self.owned) else "link"


def relocate(
    outputs: dict[str, Raw],
    outdir: str,
    ownership: Ownership,
    *,
    kept: Any = None,
    checksums: bool = True,
    intend: Callable[[Intent], None] = lambda _: None,
) -> dict[str, Raw]:
    """Bring final outputs into `outdir` and return the output object with their new locations.

    outputs is emptied, to save memory. kept: values with the Files and Directories that no output may replace: the
    user's. What else has the name of an output is replaced, as an earlier run's. intend: is told what is to be done
    before it is begun.
    """
    planner = _Planner(os.path.abspath(outdir), ownership, kept)
    placed = {name: change_each(outputs.pop(name), planner.place_all) for name in list(outputs)}
    actions = planner.actions()
    del planner
    intend(intent_of(actions))
    perform(actions)
    del actions
    for name, value in placed.items():
        placed[name] = change_each(value, lambda found: _complete_all(found, checksums))
    return placed


class _Planner:
    def __init__(self, outdir: str, ownership: Ownership, kept: Any) -> None:
        self._real = RealPaths()
        self.outdir = outdir
        self.ownership = ownership
        self.kept = kept
        self._prepare: list[Action] = []
        self._transfers: dict[tuple[str, str], str] = {}  # (real source, target folder and name asked for) -> target
        self._sources: dict[str, str] = {}  # target -> real source
        self._taken: set[str] = set()
        self._numbers: dict[tuple[str, ...], int] = {}  # folder and names of a group -> the last number given out

    def place_all(self, value: Any) -> None:
        """Place what a value holds. No file is touched, but the value changed."""
        for found in outermost(value):
            self.place(found, self.outdir)

    def place(self, value: Value, folder: str) -> None:
        """Place a value and its secondary files beside each other."""
        if is_remote(value):
            return
        members = list(_group(value))
        sources = [_source(member, self._real) for member in members]
        known = [self._known(source, folder, member) for source, member in zip(sources, members, strict=True)]
        names = self._names(members, sources, known, folder)
        for member, source, target, name in zip(members, sources, known, names, strict=True):
            if target is None:
                target = f"{folder}/{name}"
                self._put(member, source, target, folder)
            if member["basename"] != os.path.basename(target):
                set_name(member, os.path.basename(target))
            member["location"] = uri_of(target)
            if member["class"] == "File":
                member.pop("contents", None)

    def _known(self, source: str | None, folder: str, member: Value) -> str | None:
        return None if source is None else self._transfers.get((source, f"{folder}/{member['basename']}"))

    def _names(
        self, members: list[Value], sources: list[str | None], known: list[str | None], folder: str
    ) -> list[str]:
        """Free names for a group: its own, or all with the same number."""
        group = (folder, *(member["basename"] for member in members))
        number = self._numbers.get(group, 0) + 1  # a scatter's outputs have one name: the search must not start anew
        while True:
            self._numbers[group] = number
            names = [_numbered(member["basename"], members[0], number) for member in members]
            fresh = [f"{folder}/{name}" for name, target in zip(names, known, strict=True) if target is None]
            if len(set(fresh)) == len(fresh) and all(
                self._is_free(f"{folder}/{name}", member, source)
                for name, member, source, target in zip(names, members, sources, known, strict=True)
                if target is None
            ):
                return names
            if number > 1 and len(set(fresh)) < len(fresh):
                raise JobError(f"output {members[0]['basename']!r} has two secondary files of one name")
            number += 1

    def _is_free(self, target: str, member: Value, source: str | None) -> bool:
        if target in self._taken:
            return False
        if not os.path.lexists(target):
            return True
        real = os.path.realpath(target)
        if real == source:
            return True  # it is in its place already
        if os.path.islink(target) and not os.path.isdir(target):
            return not self._is_users_link(target)  # else an earlier run's: what it leads to is not touched
        if self._is_kept(real):
            return False
        return os.path.isdir(target) is (member["class"] == "Directory")  # an earlier run's, to be replaced or merged

    def _is_kept(self, real: str) -> bool:
        """Whether it is the user's, lies in a directory of the user's, or has something of the user's in it."""
        files, folders = self._kept_paths
        return real in folders or _within(real, files)

    def _is_users_link(self, target: str) -> bool:
        """Whether the user has named this very link, not only what it leads to."""
        return _within(_real_folder(target), self._kept_names)

    @cached_property
    def _kept_names(self) -> set[str]:
        """Paths of what is kept, as the user has named it."""
        return {_real_folder(path_of(found)) for found in files_and_directories(self.kept) if _is_local(found)}

    @cached_property
    def _kept_paths(self) -> tuple[set[str], set[str]]:
        """Real paths of what is kept, and all folders above them."""
        paths = {os.path.realpath(path_of(found)) for found in files_and_directories(self.kept) if _is_local(found)}
        folders: set[str] = set()
        for path in paths:
            while (path := os.path.dirname(path)) not in folders:
                folders.add(path)
        return paths, folders

    def _put(self, member: Value, source: str | None, target: str, folder: str) -> None:
        self._taken.add(target)
        if source is not None:
            self._transfers[(source, f"{folder}/{member['basename']}")] = target
            if not self._is_in_place(target, source):
                self._sources[target] = source
            return
        if member["class"] == "File":
            self._prepare.append(Action("write", target, text=member["contents"]))
            return
        self._prepare.append(Action("folder", target))
        for entry in member.get("listing") or ():
            self.place(entry, target)

    def _is_in_place(self, target: str, source: str) -> bool:
        """A link of an earlier run does where links are wanted, not for a copy."""
        if self._real.of(target) != source:
            return False
        return not os.path.islink(target) or self.ownership.way(source) == "link" or self._is_users_link(target)

    def actions(self) -> list[Action]:
        """Copies before moves: a file that goes to two places, or lies in a directory that moves, is copied first."""
        copies: list[Action] = []
        moves: list[Action] = []
        moved: set[str] = set()
        for target, source in sorted(self._sources.items(), key=lambda item: (item[1], item[0])):
            way = self.ownership.way(source)
            if way == "move" and not _within(source, moved) and self._may_move(source):
                moved.add(source)
                moves.append(Action("move", target, source))
            else:
                copies.append(Action("copy" if way == "move" else way, target, source))
        return self._prepare + copies + moves

    def _may_move(self, source: str) -> bool:
        """A directory with links to the run's own files, which will be gone, must be copied."""
        return not os.path.isdir(source) or all(self._may_stay(link, source) for link in _links(source))

    def _may_stay(self, link: str, directory: str) -> bool:
        target, real = os.readlink(link), os.path.realpath(link)
        if not target.startswith("/"):
            return below(real, directory) is not None
        of_user = self.ownership.way(os.path.normpath(target)) == self.ownership.way(real) == "link"
        return of_user and os.path.isfile(real)


def _is_local(value: Value) -> bool:
    return isinstance(location := value.get("location"), str) and location.startswith("file:")


def _within(path: str, places: set[str]) -> bool:
    """Whether the path is one of the places or lies in one."""
    while path not in places:
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent
    return True


def _group(value: Value) -> Iterator[Value]:
    if "basename" not in value:
        set_name(value, os.path.basename(path_of(value)) if "location" in value else "literal")
    check_name(value["basename"])
    yield value
    for member in value.get("secondaryFiles") or ():
        yield from _group(member)


def _source(value: Value, real: RealPaths) -> str | None:
    """Real path of what a value refers to; None for a literal."""
    if "location" not in value:
        return None
    path = real.of(path_of(value))
    if not os.path.lexists(path):
        raise JobError(f"output {path} is gone", hint="`cwlbalsam resume` has it made again")
    return path


def _numbered(name: str, primary: Value, number: int) -> str:
    """The name with a number: a.bam and a.bam.bai become a_2.bam and a_2.bam.bai."""
    if number == 1:
        return name
    root = split_name(primary["basename"])[0]
    if not name.startswith(root):
        root = split_name(name)[0]
    return f"{root}_{number}{name[len(root) :]}"


def _links(directory: str) -> Iterator[str]:
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            if os.path.islink(f"{folder}/{name}"):
                yield f"{folder}/{name}"


def _real_folder(path: str) -> str:
    """The path without links in its folder; it may be a link itself."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _complete_all(value: Any, checksums: bool) -> None:
    for found in outermost(value):
        _complete(found, checksums)


def _complete(value: Value, checksums: bool) -> None:
    """Fill in what the output object says of files: sizes, checksums, what directories hold."""
    if is_remote(value):
        return
    if value["class"] == "File":
        path = path_of(value)
        if "size" not in value:
            value["size"] = os.stat(path).st_size
        if checksums and "checksum" not in value:
            value["checksum"] = checksum_of(path)
    else:
        value["listing"] = list_directory(path_of(value)) if "listing" not in value else value["listing"]
    for key in ("secondaryFiles", "listing"):
        for inner in value.get(key) or ():
            _complete(inner, checksums)
