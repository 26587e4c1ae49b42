"""The way of one batch: look at the sources, move them under plain names, verify them, rename them.

What arrives does so in a folder of the batch's own in the target's work directory, and gets its final name by a rename
once it is verified: no half file ever stands under a final name.
"""

import asyncio
import time
from typing import Any, cast

import msgspec

from cwlbalsam.sites.transfers.base import (
    Batch,
    Carrier,
    Endpoint,
    Load,
    Progress,
    Result,
    Settling,
    State,
    Transfer,
    TransferError,
    Trouble,
    Watch,
)
from cwlbalsam.sites.transfers.hand import ask, convert
from cwlbalsam.sites.transfers.manifest import Entry, Found, Manifest, make_manifest, to_place
from cwlbalsam.sites.transfers.remote.files import PLACE

POLL_SECONDS = 1.0
SLOWEST_POLL_SECONDS = 10.0
FULL_BYTES = 4 << 20
"""A disk with less room than this counts as full, if a transfer to it has failed."""
STALL_SECONDS = 300.0
"""A transfer of which nothing arrives for so long is ended."""


async def carry(carrier: Carrier, batch: Batch, watch: Watch, *, resume: bool = False) -> list[Result]:
    """One result for each item, in order; troubles are in them, and nothing is raised but CancelledError.

    resume: an earlier attempt by this protocol may have left something to go on with. What failed leaves its folder at
    the target; `clear` removes it.
    """
    try:
        if why := carrier.can(batch.source, batch.target):
            raise TransferError(Trouble.UNFIT, why)
        manifest = make_manifest(list(batch.items), await _look(batch))
        if manifest.entries:
            await _move(carrier, batch, manifest, watch, resume)
    except TransferError as error:
        return [Result(item=item, trouble=error.trouble, message=error.message) for item in batch.items]
    results = [manifest.results[index] for index in range(len(batch.items))]
    if all(result.arrived for result in results):
        await clear(batch)
    return results


async def clear(batch: Batch) -> None:
    """Remove what a batch has left; a site that cannot be reached keeps it until `sweep`."""
    for endpoint, folder in ((batch.target, stage_of(batch)), (batch.source, aliases_of(batch))):
        if endpoint.can_be_asked:
            try:
                await ask(endpoint, "discard", folder=folder)
            except TransferError:
                continue


async def sweep(endpoint: Endpoint, seconds: float) -> list[str]:
    """Remove what batches have left at a site that nobody has touched for so long; their ids. Raises TransferError."""
    swept = await ask(endpoint, "sweep", root=endpoint.root, seconds=seconds)
    return cast(list[str], convert(endpoint.site, swept, list[str]))


def stage_of(batch: Batch) -> str:
    return f"{batch.target.root.rstrip('/')}/{PLACE}/{batch.id}/send"


def aliases_of(batch: Batch) -> str:
    """Its name is the stage's, since scp copies a folder with its name."""
    return f"{batch.source.root.rstrip('/')}/{PLACE}/{batch.id}-out/send"


async def _look(batch: Batch) -> list[Found]:
    if not batch.source.can_be_asked:
        return [Found() for _ in batch.items]
    items = [[item.source, item.kind] for item in batch.items]
    found = convert(batch.source.site, await ask(batch.source, "inspect", items=items), list[Found])
    if len(found) != len(items):
        raise TransferError(Trouble.OTHER, f"{batch.source.site}: it answered with what is no answer")
    return cast(list[Found], found)


async def _move(carrier: Carrier, batch: Batch, manifest: Manifest, watch: Watch, resume: bool) -> None:
    """Fills in the manifest's results."""
    _refuse(carrier, batch, manifest)
    if not manifest.entries:
        return
    settling = None if batch.target.can_be_asked else cast(Settling, carrier)
    stage = stage_of(batch) if settling is None else settling.stage(batch.target, batch.id)
    aliases = aliases_of(batch) if carrier.ALIASED and batch.source.can_be_asked else ""
    load = Load(
        id=batch.id,
        source=batch.source,
        target=batch.target,
        parcels=manifest.parcels,
        stage=stage,
        aliases=aliases,
        read_only=batch.read_only,
        resumed=resume and carrier.RESUMES,
    )
    steps = []
    if settling is None:
        steps.append(ask(batch.target, "prepare", folder=stage, empty=not load.resumed, size=manifest.size))
    if aliases:
        paths = [[parcel.name, parcel.path] for parcel in manifest.parcels]
        steps.append(ask(batch.source, "alias", folder=aliases, paths=paths))
    await _all(steps)
    skipped = {}
    if manifest.parcels:
        try:
            skipped = await _watched(await carrier.start(load), watch)
        except TransferError as error:
            if error.trouble is Trouble.MISSING and batch.source.can_be_asked:  # they were all there a moment ago
                error.trouble = Trouble.OTHER
            if error.trouble is Trouble.OTHER and settling is None:  # many tools do not say that the disk is full
                await _find_room(batch.target, stage, error.message)
            raise
    entries = _without(manifest, batch, skipped)
    changed = await _changed(batch, manifest)
    entries = _without(manifest, batch, changed, entries)
    await _settle(carrier, load, batch, manifest, entries, settling)


async def _find_room(target: Endpoint, stage: str, message: str) -> None:
    """Raises TransferError if the disk is full."""
    free = convert(target.site, await ask(target, "room", folder=stage), int)
    if free < FULL_BYTES:
        raise TransferError(Trouble.FULL, f"{target.site}: No space left on device ({free} bytes): {message}")


def _refuse(carrier: Carrier, batch: Batch, manifest: Manifest) -> None:
    """Leave out what this protocol cannot carry."""
    whys = {parcel.name: carrier.refuses(batch.source, parcel.path) for parcel in manifest.parcels}
    refused = {name: (Trouble.UNFIT, why) for name, why in whys.items() if why}
    if refused:
        manifest.entries = _without(manifest, batch, refused)
        going = {name for entry in manifest.entries.values() for name in entry.names()}
        manifest.parcels = [parcel for parcel in manifest.parcels if parcel.name in going]


async def _all(steps: list[Any]) -> None:
    """At the same time. Raises the first of their errors, after all have ended."""
    for answer in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _watched(transfer: Transfer, watch: Watch) -> dict[str, tuple[Trouble, str]]:
    """What a transfer has skipped, once it is done. Raises TransferError if it fails or stalls."""
    seconds, last, since = POLL_SECONDS, (0, 0), time.monotonic()
    try:
        while not (progress := await _polled(transfer, seconds)).ended:
            watch(progress)
            seconds = min(seconds * 1.5, SLOWEST_POLL_SECONDS)
            if (progress.size_bytes, progress.files) != last or progress.state is State.PAUSED:
                last, since = (progress.size_bytes, progress.files), time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise TransferError(Trouble.SLOW, f"nothing has arrived for {STALL_SECONDS:.0f} seconds")
    finally:
        await transfer.cancel()  # does nothing if it has ended
    watch(progress)
    if progress.state is State.FAILED:
        raise TransferError(progress.trouble, progress.message)
    return progress.skipped


async def _polled(transfer: Transfer, seconds: float) -> Progress:
    await transfer.wait(seconds)
    return await transfer.poll()


def _without(
    manifest: Manifest,
    batch: Batch,
    troubles: dict[str, tuple[Trouble, str]],
    entries: dict[int, Entry] | None = None,
) -> dict[int, Entry]:
    """The entries that none of these troubles (by parcel) is about; the others' results are written down."""
    kept = {}
    for index, entry in (manifest.entries if entries is None else entries).items():
        trouble = next((troubles[name] for name in entry.names() if name in troubles), None) if troubles else None
        if trouble is None:
            kept[index] = entry
        else:
            manifest.results[index] = Result(item=batch.items[index], trouble=trouble[0], message=trouble[1])
    return kept


async def _changed(batch: Batch, manifest: Manifest) -> dict[str, tuple[Trouble, str]]:
    """Parcels whose sources are not what they were before the transfer."""
    if not manifest.stamps:
        return {}
    answer = await ask(batch.source, "stamps", paths=list(manifest.stamps))
    now = convert(batch.source.site, answer, list[tuple[int, int] | None])
    changed = {path for (path, stamp), found in zip(manifest.stamps.items(), now, strict=False) if stamp != found}
    return {
        parcel.name: (Trouble.CHANGED, f"{parcel.path} changes while it is read")
        for parcel in manifest.parcels
        if parcel.path in changed
    }


async def _settle(
    carrier: Carrier, load: Load, batch: Batch, manifest: Manifest, entries: dict[int, Entry], settling: Settling | None
) -> None:
    if settling is not None:
        pairs = [(entry.names()[0], entry.target) for entry in entries.values() if entry.members is msgspec.UNSET]
        failed = await settling.settle(load, pairs)
        answers = [
            (*failed.get(entry.names()[0], ("", "")), "")
            if entry.members is msgspec.UNSET
            else (Trouble.UNFIT, f"{carrier.NAME} cannot make directories at {batch.target.site}", "")
            for entry in entries.values()
        ]
    else:
        placed = [to_place(entry) for entry in entries.values()]
        answer = await ask(batch.target, "place", folder=load.stage, entries=placed, own=carrier.OWN)
        answers = convert(batch.target.site, answer, list[tuple[Trouble, str, str]])
    for (index, entry), (trouble, message, checksum) in zip(entries.items(), answers, strict=False):
        size = entry.size if entry.size is not None else 0
        manifest.results[index] = Result(
            item=batch.items[index],
            trouble=Trouble(trouble),
            message=message,
            size_bytes=size,
            files=len(entry.names()),
            checksum=checksum,
        )
