"""What a batch consists of: its items' files, numbered, and how they become its items again at the target."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from cwlbalsam.sites.transfers.base import Item, Parcel, Result, TransferError, Trouble

Count = Annotated[int, msgspec.Meta(ge=0)]
Mode = Annotated[int, msgspec.Meta(ge=0, le=0o777)]
Member = tuple[str, Literal["file", "directory", "link"], Count, int, Mode, str]
"""Of a directory: relative path, kind, size, mtime in nanoseconds, mode, text of a link."""

MOST_LINKS = 40
"""That Linux follows in one path."""


class Found(Struct, frozen=True):
    """What the source says of an item: [trouble, message], or its size, mtime in nanoseconds, mode and members."""

    trouble: tuple[Trouble, str] | None = None
    size: Count | None = None
    mtime: int | None = None
    mode: Mode | None = None
    holes: bool = False
    members: list[Member] | None = None


class Entry(Struct, frozen=True):
    """One item at the target: what `remote.arrivals.place` takes. members: those of Found, with parcels' names."""

    target: str
    size: int | None
    mtime: int | None
    mode: int | None
    sha1: str = ""
    name: str | UnsetType = UNSET
    members: list[tuple[str, str, int, int, int, str, str]] | UnsetType = UNSET

    def names(self) -> list[str]:
        """Of its parcels."""
        if self.members is UNSET:
            return [str(self.name)]
        return [member[6] for member in self.members if member[1] == "file"]


class Manifest(Struct):
    """entries: by the index of their items. results: of items that cannot go. stamps: (size, mtime) by path, where a
    change during the transfer would not show in a checksum."""

    parcels: list[Parcel] = []
    entries: dict[int, Entry] = {}
    results: dict[int, Result] = {}
    stamps: dict[str, tuple[int, int]] = {}

    @property
    def size(self) -> int:
        return sum(parcel.size or 0 for parcel in self.parcels)


def make_manifest(items: list[Item], found: list[Found]) -> Manifest:
    """found: one for each item. What a source says is not believed where it could lead out of the item's own path."""
    manifest = Manifest()
    for index, (item, status) in enumerate(zip(items, found, strict=True)):
        try:
            manifest.entries[index] = _entry(manifest, item, status)
        except TransferError as error:
            manifest.results[index] = Result(item=item, trouble=error.trouble, message=error.message)
    return manifest


def _entry(manifest: Manifest, item: Item, found: Found) -> Entry:
    if found.trouble is not None:
        raise TransferError(*found.trouble)
    if item.kind == "directory":
        return _directory(manifest, item, found)
    if None not in (item.size, found.size) and item.size != found.size:
        raise TransferError(Trouble.CHANGED, f"{item.source} has {found.size} bytes, it had {item.size}")
    size = found.size if item.size is None else item.size
    name = _add(manifest, item.source, size, found.holes)
    if not item.checksum and found.size is not None and found.mtime is not None:
        manifest.stamps[item.source] = (found.size, found.mtime)
    return Entry(item.target, size, found.mtime, found.mode, sha1=item.checksum, name=name)


def _directory(manifest: Manifest, item: Item, found: Found) -> Entry:
    if found.members is None:
        raise TransferError(Trouble.UNFIT, f"{item.source}: its members cannot be listed from here")
    members = []
    links = {path: text for path, kind, _, _, _, text in found.members if kind == "link"}
    folders = {"", *(path for path, kind, *_ in found.members if kind == "directory")} - links.keys()
    for path, kind, size, mtime, mode, text in found.members:
        above, _, base = path.rpartition("/")
        if above not in folders or base in ("", ".", "..") or _leads_out(path, links):
            raise TransferError(Trouble.OTHER, f"{item.source}: its site names a member that is not in it: {path!r}")
        name = ""
        if kind == "file":
            source = f"{item.source.rstrip('/')}/{path}"
            name = _add(manifest, source, size)
            manifest.stamps[source] = (size, mtime)
        members.append((path, str(kind), size, mtime, mode, text, name))
    return Entry(item.target, found.size, found.mtime, found.mode, members=members)


def _add(manifest: Manifest, path: str, size: int | None, holes: bool = False) -> str:
    name = str(len(manifest.parcels))
    manifest.parcels.append(Parcel(path=path, name=name, size=size, holes=holes))
    return name


def _leads_out(path: str, links: Mapping[str, str]) -> bool:
    """Whether a path is none, never ends, or leaves the folder that it starts in. links: their texts by path; they are
    followed."""
    if not path or path.startswith("/") or "\0" in path:
        return True
    at: list[str] = []
    followed = 0
    left = path.split("/")[::-1]
    while left:
        part = left.pop()
        if part == ".." and not at:
            return True
        if part == "..":
            at.pop()
        elif part not in (".", ""):
            at.append(part)
            text = links.get("/".join(at))
            if text is not None:
                followed += 1
                if text.startswith("/") or followed > MOST_LINKS:
                    return True
                at.pop()
                left += text.split("/")[::-1]
    return False


def to_place(entry: Entry) -> Any:
    """An entry as JSON has it."""
    return msgspec.to_builtins(entry)
