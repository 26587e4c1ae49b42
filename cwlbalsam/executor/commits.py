"""When the changes of a run are written: in groups, moves within a moment, new jobs before any of them starts."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from cwlbalsam.executor.books import Books
from cwlbalsam.jobs.model import Changes

COMMIT_SECONDS = 0.02  # moves wait so long for others, to be written in one transaction


class Commits:
    """write: keeps changes, in the order they are made. guard: of what a timer starts, whose errors nobody would see.

    later: a loop's `call_later`; None: each change is written at once.
    """

    def __init__(
        self, books: Books, write: Callable[[Changes], None], guard: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.write = write
        self.later: Callable[[float, Callable[[], None]], object] | None = None
        self._books = books
        self._guard = guard
        self._is_set = False

    def now(self) -> None:
        if self._books.has_changes:
            self.write(self._books.take_changes())

    def soon(self, *, idle: bool) -> None:
        """Moves may wait because a worker journals an outcome before it tells it, so a crash loses none; jobs may not,
        because a journal names them by ids that only the store explains. idle: nothing more will come by itself."""
        if self.later is None or idle or self._books.has_new_jobs:
            self.now()
        elif self._books.has_changes and not self._is_set:
            self._is_set = True
            self.later(COMMIT_SECONDS, self._on_time)

    def _on_time(self) -> None:
        with self._guard():
            self._is_set = False
            self.now()
