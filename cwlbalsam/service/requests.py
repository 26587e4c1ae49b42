"""What others ask of a run while it is under way."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cwlbalsam.errors import JobError
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.jobs.dag import decode_change
from cwlbalsam.store.mailbox import Mailbox

POLL_SECONDS = 0.05
FOLDER = "requests"


class Requests:
    """linger_seconds: that a run stays when it has nothing to do. may_end: asked then, and a last time whether more has
    come; whoever puts requests can keep the run from ending so. reserve: as `Additions` has it."""

    def __init__(
        self,
        folder: Path,
        linger_seconds: float = 0.0,
        may_end: Callable[[], bool] = lambda: True,
        reserve: Callable[[int], int] | None = None,
    ) -> None:
        self.reserve = reserve
        self._box = Mailbox(folder)
        self._linger_seconds = linger_seconds
        self._may_end = may_end

    async def attend(self, coordinator: Coordinator, is_stopped: Callable[[], bool]) -> None:
        """Until nothing is left to do, neither of the run's own nor of what others ask for."""
        import asyncio  # the workers are to be forked before

        idle_since = time.monotonic()
        while coordinator.broken is None:
            if not is_stopped():
                self.take(coordinator)
            if not coordinator.done.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await coordinator.done.wait()
                idle_since = time.monotonic()
            elif is_stopped() or (time.monotonic() - idle_since >= self._linger_seconds and self._may_end()):
                return
            else:
                await asyncio.sleep(POLL_SECONDS)

    def take(self, coordinator: Coordinator) -> None:
        """Make the changes that are asked for; those that cannot be made are refused."""
        for request in self._box.waiting():
            refusal = ""
            try:
                coordinator.change(decode_change(request.read_bytes()))
            except (OSError, msgspec.DecodeError) as error:
                refusal = f"the request cannot be read: {error}"
            except JobError as error:
                refusal = str(error)
            if coordinator.broken is not None:
                return
            self._box.drop(request, refusal)
