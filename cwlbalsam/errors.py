"""Every error that a user can mend, and the exit codes they lead to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

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

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """One error for several problems."""
        error = cls("\n".join(map(str, problems)))
        error.problems = tuple(problems)
        return error


class IllegalTransition(Exception):
    """An event that the job's state does not allow: a bug, never the user's mistake."""


def did_you_mean(wanted: str, known: Iterable[str], otherwise: str = "", *, shown: Callable[[str], str] = repr) -> str:
    """A hint: the known names that are most like the wanted one; `otherwise` if none is."""
    import difflib  # only mistakes need it

    close = difflib.get_close_matches(wanted, sorted(known), 3)
    return f"did you mean {' or '.join(map(shown, close))}?" if close else otherwise
