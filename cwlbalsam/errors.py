"""Every error that a user can mend, and the exit codes they lead to."""

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_BUG = 3
EXIT_UNSUPPORTED = 33
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One mistake: where (`file:line:column`, or empty), what, and the way out (or empty)."""

    place: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        hint = "".join(f"\n    {line}" for line in self.hint.splitlines())
        return f"{where}{self.message}{hint}"


class UserError(Exception):
    """A mistake the user can mend; printed without a traceback."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(place, message, hint),)
        super().__init__(str(self.problems[0]))


class DocumentError(UserError):
    """Everything that is wrong with a document, all mistakes at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, "\n".join(map(str, self.problems)))


class UnsupportedError(DocumentError):
    """The document is right, but asks for what is not supported."""

    exit_code = EXIT_UNSUPPORTED

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__([Problem(place, message, hint)])


class JobError(UserError):
    """One job cannot go on: bad input value, failed expression, missing output. Fails that job alone."""


class IllegalTransition(Exception):
    """An event that the job's state does not allow: a bug, never the user's mistake."""
