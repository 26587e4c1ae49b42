"""HTTP: downloads by ranges, made at the target itself; uploads where the server has WebDAV's MOVE."""

import os
from collections.abc import Sequence
from urllib.parse import quote

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer, TransferError, Trouble, WebRoot
from cwlbalsam.sites.transfers.failures import classify, message_of
from cwlbalsam.sites.transfers.hand import Asked, ask

NAME = "http"
ALIASED = False
OWN = True
RESUMES = True


def can(source: Endpoint, target: Endpoint) -> str:
    if source.web is not None and target.can_be_asked:
        return ""
    if target.web is not None and source.can_be_asked and not target.can_be_asked:
        return ""
    return f"no web server of {source.site} that {target.site} could ask"


def refuses(source: Endpoint, path: str) -> str:
    """What the source's server does not show."""
    try:
        if source.web is not None:
            url(source.web, path)
    except TransferError as error:
        return error.message
    return ""


def guess(source: Endpoint, target: Endpoint) -> Figures:
    return Figures(latency_seconds=0.3, file_seconds=2e-3, bytes_per_second=1e8)


def url(web: WebRoot, path: str) -> str:
    """Raises TransferError for a path that the server does not show."""
    base = web.base.rstrip("/")
    if not path.startswith(f"{base}/") or ".." in path.split("/"):
        raise TransferError(Trouble.UNFIT, f"{path} is not below {base}, which is what {web.url} shows")
    return web.url.rstrip("/") + quote(os.fsencode(path[len(base) :]), safe="/")


async def start(load: Load) -> Transfer:
    if load.target.can_be_asked:
        assert load.source.web is not None
        files = [[url(load.source.web, parcel.path), parcel.name, parcel.size] for parcel in load.parcels]
        return Asked(ask(load.target, "fetch", apart=True, folder=load.stage, files=files), load)
    files = [[parcel.path, parcel.name, parcel.size] for parcel in load.parcels]
    sent = ask(load.source, "send", apart=True, folder=load.stage, files=files)
    return Asked(sent, load, measured=False)


def stage(target: Endpoint, batch: str) -> str:
    """Names beside each other at the root of what the server shows: folders would have to be made."""
    assert target.web is not None
    return f"{target.web.url.rstrip('/')}/.{batch}"


async def settle(load: Load, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[Trouble, str]]:
    web = load.target.web
    assert web is not None
    renames = [[f"{load.stage}.{name}", url(web, path), name] for name, path in pairs]
    failed = await ask(load.source, "rename", apart=True, pairs=renames)
    return {name: (classify(why), message_of(why)) for name, why in failed.items()}
