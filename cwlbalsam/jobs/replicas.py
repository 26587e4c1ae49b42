"""Files, and their copies at sites: which there are, which may be read, which may go.

The catalogue is a hint: what it calls VALID was there when it was last seen. It is pure; the store keeps its rows.
"""

from collections.abc import Iterable
from enum import IntEnum

import msgspec
from msgspec import Struct

from cwlbalsam.errors import IllegalTransition


class Produced(Struct, frozen=True, tag="produced"):
    """What an attempt of a job has made. path: within its output directory."""

    run: str
    job: int
    attempt: int
    port: str
    path: str


class Owned(Struct, frozen=True, tag="owned"):
    """A user's file, as it was when it was looked at."""

    site: str
    path: str
    size: int
    mtime_ns: int


FileId = Produced | Owned


def file_key(file: FileId) -> str:
    """The identity as text, the same for equal files in all processes."""
    return msgspec.json.encode(file).decode()


def file_of(key: str) -> FileId:
    """Raises msgspec.DecodeError for what is no key."""
    found: FileId = msgspec.json.decode(key, type=FileId)
    return found


class ReplicaState(IntEnum):
    """The numbers are what the store keeps."""

    PENDING = 0
    VALID = 1
    DOOMED = 2


class ReplicaEvent(IntEnum):
    EXPECTED = 0
    ARRIVED = 1
    LOST = 2
    SUPERSEDED = 3


TRANSITIONS: dict[tuple[ReplicaState | None, ReplicaEvent], ReplicaState] = {
    (None, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (None, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.PENDING, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (ReplicaState.PENDING, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.PENDING, ReplicaEvent.LOST): ReplicaState.DOOMED,
    (ReplicaState.VALID, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.VALID, ReplicaEvent.LOST): ReplicaState.DOOMED,
    (ReplicaState.VALID, ReplicaEvent.SUPERSEDED): ReplicaState.DOOMED,
    (ReplicaState.PENDING, ReplicaEvent.SUPERSEDED): ReplicaState.DOOMED,
    (ReplicaState.DOOMED, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (ReplicaState.DOOMED, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.DOOMED, ReplicaEvent.LOST): ReplicaState.DOOMED,
    (ReplicaState.DOOMED, ReplicaEvent.SUPERSEDED): ReplicaState.DOOMED,
}
"""A copy that is doomed but not yet removed may be made anew."""


class Replica(Struct, kw_only=True):
    """One copy. ours: cwlbalsam made it, so it may be removed. generation: grows with each write in place.

    checksum: an attribute, computed once, "" if nobody has. size: None if unknown.
    """

    file: str
    site: str
    path: str
    state: ReplicaState
    size: int | None = None
    checksum: str = ""
    generation: int = 0
    ours: bool = False
    directory: bool = False
    pins: int = 0


class Catalogue:
    """All replicas of the files that someone has asked about. At most one of a file at a site."""

    def __init__(self, rows: Iterable[Replica] = ()) -> None:
        self._replicas: dict[str, dict[str, Replica]] = {}
        self._changed: dict[tuple[str, str], Replica] = {}
        for row in rows:
            self._replicas.setdefault(row.file, {})[row.site] = row

    def at(self, file: str, site: str) -> Replica | None:
        """The copy at a site, in whatever state."""
        return self._replicas.get(file, {}).get(site)

    def valid(self, file: str) -> list[Replica]:
        """What can be read: of the newest generation, by site."""
        found = [replica for replica in self._replicas.get(file, {}).values() if replica.state is ReplicaState.VALID]
        newest = max((replica.generation for replica in found), default=0)
        return sorted((replica for replica in found if replica.generation == newest), key=lambda replica: replica.site)

    def apply(self, event: ReplicaEvent, replica: Replica) -> Replica:
        """Change the state of a copy, and take over what else is known of it. Raises IllegalTransition."""
        before = self.at(replica.file, replica.site)
        state = TRANSITIONS.get((before.state if before else None, event))
        if state is None:
            raise IllegalTransition(f"a replica that is not known cannot be {event.name}")
        if before is not None and before.pins and before.path != replica.path:
            raise IllegalTransition(f"{before.path} at {before.site} is being read, and cannot move to {replica.path}")
        after = msgspec.structs.replace(replica, state=state, pins=before.pins if before else 0)
        self._replicas.setdefault(replica.file, {})[replica.site] = after
        self._changed[after.file, after.site] = after
        return after

    def write(self, file: str, site: str) -> Replica:
        """The copy at a site is about to be changed in place: a new generation, and all others are doomed.

        Raises IllegalTransition if there is no valid copy at the site, or someone reads it.
        """
        there = self.at(file, site)
        if there is None or there.state is not ReplicaState.VALID or there.pins:
            raise IllegalTransition(f"nothing that may be written to at {site}")
        newest = max(replica.generation for replica in self._replicas[file].values())
        for replica in list(self._replicas[file].values()):
            if replica is not there:
                self.apply(ReplicaEvent.SUPERSEDED, replica)
        written = msgspec.structs.replace(there, generation=newest + 1, checksum="", size=None)
        return self.apply(ReplicaEvent.ARRIVED, written)

    def pin(self, replica: Replica) -> None:
        """It is being read: it is neither removed nor written to until it is let go. Not kept by the store."""
        self._known(replica).pins += 1

    def unpin(self, replica: Replica) -> None:
        """Raises IllegalTransition if nobody has pinned it."""
        known = self._known(replica)
        if known.pins == 0:
            raise IllegalTransition(f"{replica.path} at {replica.site} is not pinned")
        known.pins -= 1

    def removable(self, site: str) -> list[Replica]:
        """Copies that cwlbalsam made, that are doomed, and that nobody reads."""
        return [
            replica
            for copies in self._replicas.values()
            if (replica := copies.get(site)) is not None
            and replica.state is ReplicaState.DOOMED
            and replica.ours
            and not replica.pins
        ]

    def forget(self, replica: Replica) -> None:
        """It has been removed. Raises IllegalTransition if it was not removable."""
        if replica not in self.removable(replica.site):
            raise IllegalTransition(f"{replica.path} at {replica.site} must not be removed")
        del self._replicas[replica.file][replica.site]
        self._changed.pop((replica.file, replica.site), None)

    def take_changes(self) -> list[Replica]:
        """What the store has to write, once."""
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def _known(self, replica: Replica) -> Replica:
        known = self.at(replica.file, replica.site)
        if known is None:
            raise IllegalTransition(f"no replica of it is known at {replica.site}")
        return known
