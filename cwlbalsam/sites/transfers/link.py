"""On one file system: links and clones, which cost nothing."""

from msgspec import Struct

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer, TransferError, Trouble, share_files
from cwlbalsam.sites.transfers.hand import Asked, ask


class OnOneFileSystem(Struct, frozen=True):
    """how: as `remote.arrivals.link` knows it."""

    NAME: str
    how: str
    OWN: bool
    figures: Figures
    ALIASED: bool = False
    RESUMES: bool = False

    def can(self, source: Endpoint, target: Endpoint) -> str:
        if not share_files(source, target):
            return f"{source.site} and {target.site} are not on one file system"
        if not target.can_be_asked:
            return f"{target.site} has no login"
        return ""

    def refuses(self, source: Endpoint, path: str) -> str:
        return ""

    def guess(self, source: Endpoint, target: Endpoint) -> Figures:
        return self.figures

    async def start(self, load: Load) -> Transfer:
        """Raises TransferError for links to what will be written to."""
        if not self.OWN and not load.read_only:
            raise TransferError(Trouble.UNFIT, "a link would let the copy's writer change the original")
        paths = [[parcel.path, parcel.name] for parcel in load.parcels]
        apart = self.how == "copy"
        made = ask(load.target, "link", apart=apart, how=self.how, folder=load.stage, paths=paths)
        return Asked(made, load)


def _costs(file_seconds: float, bytes_per_second: float = 1e12) -> Figures:
    return Figures(latency_seconds=0.001, file_seconds=file_seconds, bytes_per_second=bytes_per_second)


REFLINK = OnOneFileSystem("reflink", "reflink", OWN=True, figures=_costs(4e-5))
HARDLINK = OnOneFileSystem("hardlink", "hard", OWN=False, figures=_costs(5e-5))
SYMLINK = OnOneFileSystem("symlink", "symbolic", OWN=False, figures=_costs(6e-5))
"""A hard link outlives its source, and a clone is nobody else's: so they come first where they can be made."""
