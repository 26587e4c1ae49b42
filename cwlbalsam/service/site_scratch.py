"""What this home's runs have left at a site: which of it nobody needs any more, and its removal."""

import asyncio
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.service.endpoints import endpoint_of
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import Asked
from cwlbalsam.service.site_files import look_closely
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.transfers.base import Endpoint, TransferError
from cwlbalsam.sites.transfers.hand import ask, convert
from cwlbalsam.sites.transfers.sessions import end_sessions
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.host import this_host


class Gone(Struct, frozen=True):
    """runs: ids. inputs: files."""

    runs: list[str]
    inputs: int


def owner_of(home: Home) -> str:
    """How a home signs the folders of its runs at sites."""
    return f"{this_host().name}:{home.path}"


def collect_scratch(site: Site, home: Home, input_seconds: float, dry_run: bool) -> Gone:
    """Raises UserError if the site does not answer."""
    with closing(open_store(home.path)) as store:
        return asyncio.run(_collect(site, home, store, input_seconds, dry_run))


async def _collect(site: Site, home: Home, store: Store, input_seconds: float, dry_run: bool) -> Gone:
    seen = await look_closely(site)
    work = seen.site.work
    endpoint = endpoint_of(site, f"{seen.facts.home}{work[1:]}" if work.startswith("~") else work)
    try:
        return await _remove(endpoint, home, store, input_seconds, dry_run)
    except TransferError as error:
        raise UserError(error.message, hint=f"`cwlbalsam site check {site.name}` says what is wrong") from error
    finally:
        await end_sessions()


async def _remove(endpoint: Endpoint, home: Home, store: Store, input_seconds: float, dry_run: bool) -> Gone:
    answer = convert(endpoint.site, await ask(endpoint, "list_runs", root=endpoint.root), list[tuple[str, str]])
    ours = [run for run, owner in answer if owner == owner_of(home)]
    known = {record.id: record.status for record in store.runs()}
    gone = [run for run in ours if run not in known or (known[run] == "finished" and not _leaves(store, run))]
    if not dry_run:
        await ask(endpoint, "remove_runs", root=endpoint.root, runs=gone)
    inputs = await ask(endpoint, "old_inputs", root=endpoint.root, seconds=input_seconds, remove=not dry_run)
    return Gone(gone, convert(endpoint.site, inputs, int))


def _leaves(store: Store, run: str) -> bool:
    """Whether the run's outputs, or all that it made, were to stay."""
    record = store.run(run)
    if not Path(record.directory).is_absolute() or not record.options:
        return True
    options = msgspec.msgpack.decode(record.options, type=Asked).options
    return options.outputs == "leave" or options.keep
