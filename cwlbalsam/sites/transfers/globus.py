"""Globus: one task for a whole batch, which its service carries out, tries again and verifies by itself."""

import asyncio
import datetime
import importlib.util
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers import globus_login
from cwlbalsam.sites.transfers.base import Collection, Endpoint, Load, Transfer, TransferError, Trouble
from cwlbalsam.sites.transfers.globus_login import Connect
from cwlbalsam.sites.transfers.globus_task import Task, trouble_of

if TYPE_CHECKING:
    from globus_sdk import TransferClient, TransferData

DEADLINE_SECONDS = 86_400.0
"""After that the service gives a task up, paused or not."""


class Globus(Struct, frozen=True):
    """connect: to the service; it may raise TransferError."""

    connect: Connect
    NAME: str = "globus"
    ALIASED: bool = False
    OWN: bool = True
    RESUMES: bool = True

    def can(self, source: Endpoint, target: Endpoint) -> str:
        for end in (source, target):
            if end.globus is None:
                return f"{end.site} is no Globus collection"
        return "" if importlib.util.find_spec("globus_sdk") else "globus-sdk is not installed: pip install .[globus]"

    def refuses(self, source: Endpoint, path: str) -> str:
        assert source.globus is not None
        try:
            collection_path(source.globus, path)
        except TransferError as error:
            return error.message
        return ""

    def guess(self, source: Endpoint, target: Endpoint) -> Figures:
        return Figures(latency_seconds=20.0, file_seconds=5e-3, bytes_per_second=3e8)

    async def start(self, load: Load) -> Transfer:
        client = await asyncio.to_thread(self.connect)
        try:
            task = await asyncio.to_thread(_submit, client, load)
        except BaseException:
            client.close()
            raise
        return Task(client, task, load, _paths(load))

    def stage(self, target: Endpoint, batch: str) -> str:
        return f"{target.root.rstrip('/')}/.transfers/{batch}/send"

    async def settle(self, load: Load, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[Trouble, str]]:
        client = await asyncio.to_thread(self.connect)
        try:
            return await asyncio.to_thread(_settle, client, load, pairs)
        finally:
            client.close()


GLOBUS = Globus(globus_login.connect)


def collection_path(collection: Collection, path: str) -> str:
    """A path as the collection has it. Raises TransferError if it does not show it, or cannot name it."""
    base = collection.base.rstrip("/")
    if not path.startswith(f"{base}/") or ".." in path.split("/"):
        raise TransferError(Trouble.UNFIT, f"{path} is not below {base}, which is what the collection shows")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", path):
        raise TransferError(Trouble.UNFIT, f"Globus has no file names with such characters: {path!r}")
    return path[len(base) :]


def label_of(load: Load) -> str:
    """By which a task is found again, if whoever started it was killed."""
    return f"cwlbalsam {re.sub(r'[^A-Za-z0-9 _-]', '-', load.id)}"[:128]


def _ends(load: Load) -> tuple[Collection, Collection]:
    assert load.source.globus is not None
    assert load.target.globus is not None
    return load.source.globus, load.target.globus


def _paths(load: Load) -> dict[str, str]:
    """Names of parcels by what the collection calls their targets."""
    _, target = _ends(load)
    return {collection_path(target, f"{load.stage}/{parcel.name}"): parcel.name for parcel in load.parcels}


def _submit(client: "TransferClient", load: Load) -> str:
    """A task's id: of one that is under way already, if this goes on with an earlier attempt."""
    from globus_sdk import GlobusError

    try:
        if load.resumed and (task := _find(client, load)):
            return task
        answer = client.submit_transfer(_document(load))
        return str(answer["task_id"])
    except GlobusError as error:
        raise trouble_of(error) from error


def _find(client: "TransferClient", load: Load) -> str:
    query = {"filter": f"status:ACTIVE,INACTIVE/label:{label_of(load)}"}
    for task in client.task_list(query_params=query):
        if task["label"] == label_of(load) and task["status"] in ("ACTIVE", "INACTIVE"):
            return str(task["task_id"])
    return ""


def _document(load: Load) -> "TransferData":
    """Its own checksums are always on; a second attempt leaves out what has arrived whole."""
    from globus_sdk import TransferData

    source, target = _ends(load)
    deadline = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=DEADLINE_SECONDS)
    quiet: dict[str, Any] = {"notify_on_succeeded": False, "notify_on_failed": False, "notify_on_inactive": False}
    if load.resumed:
        quiet["sync_level"] = "checksum"
    data = TransferData(
        source.id,
        target.id,
        label=label_of(load),
        deadline=deadline.isoformat(timespec="seconds"),
        verify_checksum=True,
        skip_source_errors=True,
        fail_on_quota_errors=True,
        **quiet,
    )
    for path, parcel in zip(_paths(load), load.parcels, strict=True):
        data.add_item(collection_path(source, parcel.path), path)
    return data


def _settle(client: "TransferClient", load: Load, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[Trouble, str]]:
    """At a collection where no program can be started: sizes are compared, and files renamed, by the service."""
    from globus_sdk import GlobusAPIError, GlobusError

    _, target = _ends(load)
    stage = collection_path(target, load.stage)
    failed: dict[str, tuple[Trouble, str]] = {}
    try:
        sizes = {entry["name"]: entry["size"] for entry in client.operation_ls(target.id, stage, limit=100_000)}
        expected = {parcel.name: parcel.size for parcel in load.parcels}
        for name, path in pairs:
            if sizes.get(name) is None or expected[name] not in (None, sizes[name]):
                failed[name] = (
                    Trouble.CORRUPT,
                    f"{sizes.get(name)} bytes have arrived, there should be {expected[name]}",
                )
                continue
            final = collection_path(target, path)
            _make_folder(client, target.id, str(PurePosixPath(final).parent))
            try:
                client.operation_rename(target.id, f"{stage}/{name}", final)
            except GlobusAPIError as error:
                failed[name] = trouble_of(error).trouble, trouble_of(error).message
    except GlobusError as error:
        raise trouble_of(error) from error
    return failed


def _make_folder(client: "TransferClient", collection: str, path: str) -> None:
    from globus_sdk import GlobusAPIError

    for folder in [*reversed(PurePosixPath(path).parents), PurePosixPath(path)][1:]:
        try:
            client.operation_mkdir(collection, str(folder))
        except GlobusAPIError as error:
            if "Exists" not in str(error.code):
                raise
