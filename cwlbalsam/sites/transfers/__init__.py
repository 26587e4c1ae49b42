"""Transfer protocols: one module each."""

from cwlbalsam.sites.transfers import gridftp, http, rsync, scp, tar
from cwlbalsam.sites.transfers.base import Carrier, Endpoint
from cwlbalsam.sites.transfers.copy import COPY
from cwlbalsam.sites.transfers.globus import GLOBUS
from cwlbalsam.sites.transfers.link import HARDLINK, REFLINK, SYMLINK

_ON_ONE_FILE_SYSTEM: tuple[Carrier, ...] = (REFLINK, HARDLINK, SYMLINK, COPY)
BETWEEN_MACHINES: dict[str, Carrier] = {each.NAME: each for each in (scp, rsync, tar, gridftp, GLOBUS, http)}
CARRIERS = {carrier.NAME: carrier for carrier in _ON_ONE_FILE_SYSTEM} | BETWEEN_MACHINES


def carriers_between(source: Endpoint, target: Endpoint) -> dict[str, Carrier]:
    """Those that can carry from one to the other, by name."""
    return {name: carrier for name, carrier in CARRIERS.items() if not carrier.can(source, target)}
