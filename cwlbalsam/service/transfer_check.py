"""Tries each way to bring a file to a site and back."""

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

from cwlbalsam.sites.transfers import BETWEEN_MACHINES, CARRIERS
from cwlbalsam.sites.transfers.base import Batch, Carrier, Endpoint, Item, TransferError
from cwlbalsam.sites.transfers.carry import carry
from cwlbalsam.sites.transfers.hand import ask
from cwlbalsam.sites.transfers.remote.files import PLACE

NAME = "a name with 'quotes' & $(signs) #1"
SIZE = 100_000


async def check_transfers(
    here: Endpoint, there: Endpoint, told: Sequence[str], folder: Path
) -> AsyncIterator[tuple[str, str]]:
    """(protocol and direction, why it does not work: "" if it does) of all that both ends could use.

    told: the protocols that the site's description names; only these are tried, then, also where they cannot work.
    """
    plain = folder / NAME
    plain.write_bytes(os.urandom(SIZE))
    checksum = f"sha1${hashlib.sha1(plain.read_bytes(), usedforsecurity=False).hexdigest()}"
    place = f"{there.root}/{PLACE}/check-{uuid4().hex[:12]}/send"
    for name, carrier in CARRIERS.items():
        if (told and name not in told) or not (there.local or name in BETWEEN_MACHINES):
            continue
        for source, target in ((here, there), (there, here)):
            why = carrier.can(source, target)
            if why and not told:
                continue
            outward = source is here
            paths = (str(plain), f"{place}/{NAME}") if outward else (f"{place}/{NAME}", f"{folder}/back-{name}")
            error = why or await _carried(carrier, source, target, paths, checksum)
            yield f"{name} {'to' if outward else 'from'} the site", error
    try:
        await ask(there, "discard", folder=place)
    except TransferError:
        return


async def _carried(carrier: Carrier, source: Endpoint, target: Endpoint, paths: tuple[str, str], checksum: str) -> str:
    """ "" if the file has arrived whole."""
    item = Item(source=paths[0], target=paths[1], size=SIZE, checksum=checksum)
    batch = Batch(id=uuid4().hex[:24], source=source, target=target, items=[item])
    try:
        result = (await carry(carrier, batch, lambda _: None))[0]
    except TransferError as error:
        return error.message
    return "" if result.arrived else result.message or result.trouble
