"""Replicas, what links can do, and the history of transfers: tables of their own in the store's SQLite file.

One connection, one transaction a call, as in `sqlite.py`; the tables are those of `transfer_tables.py`.
"""

# ruff: noqa: S608 -- the statements are put together from constants of this module only

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from cwlbalsam.jobs.links import Figures, TransferRecord
from cwlbalsam.jobs.replicas import Replica, ReplicaState

_REPLICA = ("file", "site", "path", "state", "size", "checksum", "generation", "ours", "directory")
_LINK = ("latency_seconds", "file_seconds", "bytes_per_second", "samples")
_TRANSFER = tuple(field.name for field in msgspec.structs.fields(TransferRecord))

STATEMENTS = {
    "put_replica": f"INSERT OR REPLACE INTO replicas ({', '.join(_REPLICA)}) VALUES ({', '.join('?' * len(_REPLICA))})",
    "replicas": f"SELECT {', '.join(_REPLICA)} FROM replicas WHERE file IN (SELECT value FROM json_each(?))",
    "replicas_at": f"SELECT {', '.join(_REPLICA)} FROM replicas WHERE site = ? AND state = ?",
    "remove_replica": "DELETE FROM replicas WHERE file = ? AND site = ?",
    "put_link": f"INSERT OR REPLACE INTO links (source, target, protocol, {', '.join(_LINK)})"
    " VALUES (?, ?, ?, ?, ?, ?, ?)",
    "links": f"SELECT source, target, protocol, {', '.join(_LINK)} FROM links",
    "put_transfer": f"INSERT INTO transfers ({', '.join(_TRANSFER)}) VALUES ({', '.join('?' * len(_TRANSFER))})",
    "transfers": f"SELECT {', '.join(_TRANSFER)} FROM transfers ORDER BY seq DESC LIMIT ?",
}


class TransferStore:
    """path: of a store that `open_store` has made or upgraded."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        self._connection.close()

    def put_replicas(self, changed: Sequence[Replica], removed: Sequence[Replica] = ()) -> None:
        """Pins are not kept: they end with the process that has them."""
        with self._transaction():
            rows = [tuple(getattr(replica, name) for name in _REPLICA) for replica in changed]
            self._connection.executemany(STATEMENTS["put_replica"], rows)
            gone = [(replica.file, replica.site) for replica in removed]
            self._connection.executemany(STATEMENTS["remove_replica"], gone)

    def replicas(self, files: Collection[str]) -> list[Replica]:
        """Of these files, at all sites."""
        return self._replicas("replicas", json.dumps(sorted(files)))

    def doomed(self, site: str) -> list[Replica]:
        """What can be removed at a site, if nobody reads it."""
        return self._replicas("replicas_at", site, int(ReplicaState.DOOMED))

    def put_figures(self, figures: Mapping[tuple[str, str, str], Figures]) -> None:
        rows = [(*link, *msgspec.structs.astuple(known)) for link, known in figures.items()]
        with self._transaction():
            self._connection.executemany(STATEMENTS["put_link"], rows)

    def figures(self) -> dict[tuple[str, str, str], Figures]:
        """What is known of links: (source, target, protocol)."""
        rows = self._connection.execute(STATEMENTS["links"])
        return {(row[0], row[1], row[2]): Figures(**dict(zip(_LINK, row[3:], strict=True))) for row in rows}

    def add_transfer(self, record: TransferRecord) -> None:
        with self._transaction():
            self._connection.execute(STATEMENTS["put_transfer"], msgspec.structs.astuple(record))

    def transfers(self, limit: int = 0) -> list[TransferRecord]:
        """The newest first; all if limit is 0."""
        rows = self._connection.execute(STATEMENTS["transfers"], (limit or -1,))
        return [TransferRecord(**dict(zip(_TRANSFER, row, strict=True))) for row in rows]

    def _replicas(self, statement: str, *values: object) -> list[Replica]:
        found = []
        with closing(self._connection.execute(STATEMENTS[statement], values)) as rows:
            for row in rows:
                fields = dict(zip(_REPLICA, row, strict=True))
                state, ours, directory = ReplicaState(fields["state"]), bool(fields["ours"]), bool(fields["directory"])
                found.append(Replica(**{**fields, "state": state, "ours": ours, "directory": directory}))
        return found

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)


class _Transaction:
    """All or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
