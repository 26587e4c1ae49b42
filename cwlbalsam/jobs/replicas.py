"""Files of a run, and their copies at sites: which there are, and which may be read.

The catalogue is a hint: what it calls VALID was there when it was last seen. It is pure, and ends with the run.
"""

from collections.abc import Iterable
from enum import IntEnum

import msgspec
from msgspec import Struct

from cwlbalsam.errors import IllegalTransition


class Owned(Struct, frozen=True, tag="owned"):
    """A user's file, as it was when it was looked at."""

    site: str
    path: str
    size: int
    mtime_ns: int


def file_key(file: Owned) -> str:
    """The identity as text, the same for equal files in all processes."""
    return msgspec.json.encode(file).decode()


class ReplicaState(IntEnum):
    PENDING = 0
    VALID = 1
    GONE = 2


class ReplicaEvent(IntEnum):
    EXPECTED = 0
    ARRIVED = 1
    LOST = 2


TRANSITIONS: dict[tuple[ReplicaState | None, ReplicaEvent], ReplicaState] = {
    (None, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (None, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.PENDING, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (ReplicaState.PENDING, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.PENDING, ReplicaEvent.LOST): ReplicaState.GONE,
    (ReplicaState.VALID, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.VALID, ReplicaEvent.LOST): ReplicaState.GONE,
    (ReplicaState.GONE, ReplicaEvent.EXPECTED): ReplicaState.PENDING,
    (ReplicaState.GONE, ReplicaEvent.ARRIVED): ReplicaState.VALID,
    (ReplicaState.GONE, ReplicaEvent.LOST): ReplicaState.GONE,
}


class Replica(Struct, kw_only=True):
    """One copy. checksum: an attribute, computed once, "" if nobody has. size: None if unknown."""

    file: str
    site: str
    path: str
    state: ReplicaState
    size: int | None = None
    checksum: str = ""
    directory: bool = False
    pins: int = 0


class Catalogue:
    """All replicas of the files that someone has asked about. At most one of a file at a site."""

    def __init__(self, rows: Iterable[Replica] = ()) -> None:
        self._replicas: dict[str, dict[str, Replica]] = {}
        for row in rows:
            self._replicas.setdefault(row.file, {})[row.site] = row

    def at(self, file: str, site: str) -> Replica | None:
        """The copy at a site, in whatever state."""
        return self._replicas.get(file, {}).get(site)

    def valid(self, file: str) -> list[Replica]:
        """What can be read, by site."""
        found = [replica for replica in self._replicas.get(file, {}).values() if replica.state is ReplicaState.VALID]
        return sorted(found, key=lambda replica: replica.site)

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
        return after

    def pin(self, replica: Replica) -> None:
        """It is being read: it stays where it is until it is let go."""
        self._known(replica).pins += 1

    def unpin(self, replica: Replica) -> None:
        """Raises IllegalTransition if nobody has pinned it."""
        known = self._known(replica)
        if known.pins == 0:
            raise IllegalTransition(f"{replica.path} at {replica.site} is not pinned")
        known.pins -= 1

    def _known(self, replica: Replica) -> Replica:
        known = self.at(replica.file, replica.site)
        if known is None:
            raise IllegalTransition(f"no replica of it is known at {replica.site}")
        return known
