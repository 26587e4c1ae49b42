"""What the mover is asked for, and what it answers if that cannot be."""

from collections.abc import Sequence
from typing import Self

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.replicas import Replica, ReplicaState
from cwlbalsam.sites.transfers.base import Trouble


class TransferFailed(UserError):
    """A file cannot be brought to a site. trouble MISSING: no site has it any more, and it has to be made again.

    missing: the keys of all files of which that is so.
    """

    def __init__(self, wanted: "Wanted", trouble: Trouble, message: str) -> None:
        super().__init__(
            f"{wanted.path} cannot be brought to site {wanted.site}: {message}", hint=HINTS.get(trouble, "")
        )
        self.wanted, self.trouble, self.message = wanted, trouble, message
        self.missing: tuple[str, ...] = (wanted.file,) if trouble is Trouble.MISSING else ()

    @classmethod
    def of(cls, failures: Sequence[Self]) -> Self:
        """The first one, with what is missing of all."""
        first = failures[0]
        error = cls(first.wanted, first.trouble, first.message)
        error.missing = tuple(file for failure in failures for file in failure.missing)
        return error


HINTS = {
    Trouble.FULL: "make room at the site, or choose another one",
    Trouble.LOGIN: "log in to the site by hand, to see what it asks for",
    Trouble.UNREACHABLE: "resume the run when the site is up again",
    Trouble.DENIED: "check who may read the file, and write to the site's work directory",
    Trouble.UNFIT: "give both sites a protocol that they share",
}


class Wanted(Struct, frozen=True, kw_only=True):
    """A file (its key, see `jobs.replicas`) that is to be at a site, under this path."""

    file: str
    site: str
    path: str
    size: int | None = None
    checksum: str = ""
    directory: bool = False


def expected_replica(wanted: Wanted) -> Replica:
    """The copy that it is to become."""
    return Replica(
        file=wanted.file,
        site=wanted.site,
        path=wanted.path,
        state=ReplicaState.PENDING,
        size=wanted.size,
        checksum=wanted.checksum,
        directory=wanted.directory,
    )
