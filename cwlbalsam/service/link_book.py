"""What links between sites have been seen to do: read when a run begins, and kept for the next one."""

from contextlib import suppress

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.links import Figures, LinkName
from cwlbalsam.sites.site import LOCAL
from cwlbalsam.store import Store
from cwlbalsam.store.host import this_host


class LinkBook:
    """Of one run. figures: whoever moves files keeps there what it learns."""

    def __init__(self) -> None:
        self.figures: dict[LinkName, Figures] = {}
        self._kept: dict[LinkName, Figures] = {}
        self._here = f"{LOCAL}:{this_host().name}"  # machines may share a home, and each is `local` to itself

    def read(self, store: Store) -> None:
        """What earlier runs have learned."""
        self._kept = {self._renamed(link, self._here, LOCAL): known for link, known in store.links().items()}
        self.figures |= self._kept

    def write(self, store: Store) -> None:
        """What is new. A store that cannot be written is no reason for a run to fail."""
        new = {link: known for link, known in self.figures.items() if self._kept.get(link) != known}
        if new:
            with suppress(UserError):
                store.put_links({self._renamed(link, LOCAL, self._here): known for link, known in new.items()})

    @staticmethod
    def _renamed(link: LinkName, site: str, name: str) -> LinkName:
        source, target, protocol = link
        return name if source == site else source, name if target == site else target, protocol
