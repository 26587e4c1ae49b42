"""Which session may run which job: what several agents and their launchers agree upon in one store.

A job is *offered* by its run's agent, *leased* by a session for one attempt, and given back or ended. A session has a
row, renewed once for all its jobs. When it was not renewed in time it becomes *suspect*, not dead: whoever knows that
its processes have ended closes it, which offers its jobs anew. So no two living sessions ever hold one job.
"""

from collections.abc import Collection
from typing import Literal, Protocol

from msgspec import Struct

from cwlbalsam.jobs.model import BalsamJob, State
from cwlbalsam.store.base import Store

LEASABLE = frozenset({State.READY, State.PREPROCESSED, State.RESTART_READY})
"""Jobs in these states can be started."""
HELD = LEASABLE | {State.RUNNING}
"""Jobs in these states belong to the session that has leased them. In later ones, they are their agent's again."""


class Session(Struct, frozen=True, kw_only=True):
    """A launcher's, from one start to its end. ttl: seconds. created, renewed: by the agent's clock."""

    id: str
    agent: str
    host: str
    created: float
    renewed: float
    ttl: float
    state: Literal["open", "suspect", "closed"] = "open"


class Lease(Struct, frozen=True):
    """A job for one attempt, `job.attempt`. run: its full id."""

    run: str
    job: BalsamJob


class SessionLost(Exception):
    """A session that is suspect, closed or unknown: what it runs must end, and a new one may be opened."""


class Leases(Protocol):
    """Each call is one transaction. Times are those of the agent's clock, in seconds since the epoch."""

    def offer(self, run_id: str, jobs: Collection[int]) -> int:
        """Lets sessions lease these jobs, if they are nobody's; returns how many were."""

    def open_session(self, agent: str, host: str, ttl: float, now: float) -> Session: ...

    def renew(self, session: str, now: float) -> None:
        """Raises SessionLost."""

    def lease(self, session: str, limit: int, run_id: str = "", states: Collection[State] = LEASABLE) -> list[Lease]:
        """Up to `limit` jobs, the oldest first, each with a new attempt. run_id: "" for jobs of any run.

        Raises SessionLost.
        """

    def held(self, session: str) -> list[Lease]:
        """What it has leased and neither ended nor given back."""

    def release(self, session: str, run_id: str, jobs: Collection[int]) -> int:
        """Offers jobs anew that the session holds; returns how many."""

    def expire(self, now: float) -> list[Session]:
        """Makes the sessions suspect that were not renewed in time, and returns them."""

    def close_session(self, session: str) -> None:
        """Offers all that it still holds anew. Does nothing if it was closed before."""


def leases_of(store: Store) -> Leases:
    """The leases of a store on SQLite or PostgreSQL; they share its connection."""
    from cwlbalsam.store.sqlite import SqliteStore
    from cwlbalsam.store.sqlite_leases import SqliteLeases

    if isinstance(store, SqliteStore):
        return SqliteLeases(store.link)
    from cwlbalsam.store.postgres import PostgresStore
    from cwlbalsam.store.postgres_leases import PostgresLeases

    if isinstance(store, PostgresStore):
        return PostgresLeases(store.link)
    raise TypeError(f"{type(store).__name__} has no leases")
