"""A site's batch machine as its scheduler told it last: asked when something is to be decided, and not too often."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.batch import MachineState

FRESH_SECONDS = 15.0
"""A scheduler is not asked again sooner."""
PATIENCE_SECONDS = 2.0
"""A slow answer counts from the next decision on."""
STALE_SECONDS = 120.0
"""Older words are no longer believed."""


class MachineWatch:
    """ask: raises UserError if the scheduler cannot tell; None: it never can. first: what it has told already."""

    def __init__(self, ask: Callable[[], Awaitable[MachineState]] | None, first: MachineState | None = None) -> None:
        self._ask = ask
        self._told = first
        self._asked = first.time if first is not None else 0.0
        self._asking: asyncio.Task[None] | None = None

    @property
    def told(self) -> MachineState | None:
        """The last words, if they can be believed."""
        known = self._told
        return known if known is not None and time.time() - known.time < STALE_SECONDS else None

    async def look(self) -> MachineState | None:
        """What is known after asking, if it is time for that. Waits no longer than PATIENCE_SECONDS."""
        if self._ask is not None and self._asking is None and time.time() - self._asked >= FRESH_SECONDS:
            self._asking = asyncio.create_task(self._listen(self._ask))
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE_SECONDS)
        return self.told

    async def _listen(self, ask: Callable[[], Awaitable[MachineState]]) -> None:
        try:
            self._told = await ask()
        except UserError:
            pass  # what it said before counts until it is stale
        finally:
            self._asked = time.time()
            self._asking = None
