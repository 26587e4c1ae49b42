"""A Globus task, as it is watched from here. It goes on by itself, also while nobody can ask about it."""

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

from cwlbalsam.sites.transfers.base import Load, Progress, State, TransferError, Trouble
from cwlbalsam.sites.transfers.failures import message_of

if TYPE_CHECKING:
    from globus_sdk import GlobusError, TransferClient

END_SECONDS = 60.0
"""So long a cancelled task may take to end."""

# https://docs.globus.org/api/transfer/task/#event_document and #errors: codes and nice_status
TROUBLES = (
    (Trouble.LOGIN, r"ConsentRequired|AuthenticationFailed|CREDENTIAL|EXPIRED|AUTH|LOGIN"),
    (Trouble.FULL, r"QUOTA|NO_SPACE|ENOSPC|DISK_FULL"),
    (Trouble.MISSING, r"NOT_FOUND|NotFound|FILE_NOT|NO_SUCH"),
    (Trouble.DENIED, r"PERMISSION|Denied|FORBIDDEN"),
    (Trouble.CORRUPT, r"VERIFY|CHECKSUM"),
    (Trouble.UNREACHABLE, r"CONNECT|TIMEOUT|UNREACHABLE|BUSY|GatewayTimeout|ServiceUnavailable"),
)


def trouble_of_code(code: str) -> Trouble:
    """Of an error's code, an event's, or a task's status; unknown ones are OTHER."""
    found = (trouble for trouble, pattern in TROUBLES if re.search(pattern, code, re.IGNORECASE))
    return next(found, Trouble.OTHER)


def trouble_of(error: "GlobusError") -> TransferError:
    """What the service answered, or why it could not be asked."""
    from globus_sdk import GlobusAPIError

    if not isinstance(error, GlobusAPIError):
        return TransferError(Trouble.UNREACHABLE, message_of(f"Globus cannot be reached: {error}"))
    if error.info.consent_required:
        scopes = " ".join(error.info.consent_required.required_scopes or [])
        return TransferError(Trouble.LOGIN, message_of(f"Globus wants the user's consent to {scopes}"))
    if error.http_status == 401:
        return TransferError(Trouble.LOGIN, message_of(f"Globus wants a new login: {error.message}"))
    if error.http_status in (429, 502, 503, 504):
        return TransferError(Trouble.UNREACHABLE, message_of(f"Globus: {error.message}"))
    return TransferError(trouble_of_code(str(error.code)), message_of(f"Globus: {error.message}"))


class Task:
    """names: of parcels, by their paths at the target."""

    def __init__(self, client: "TransferClient", task: str, load: Load, names: dict[str, str]) -> None:
        self._client = client
        self._task = task
        self._load = load
        self._names = names
        self._now = Progress()

    async def poll(self) -> Progress:
        if self._now.ended:
            return self._now
        self._now = await asyncio.to_thread(self._asked)
        if self._now.ended:
            self._client.close()
        return self._now

    async def wait(self, seconds: float) -> None:
        """The service is asked once in that time, at the end."""
        if not self._now.ended:
            await asyncio.sleep(seconds)

    async def cancel(self) -> None:
        if self._now.ended:
            return
        await asyncio.to_thread(self._cancelled)
        self._now = Progress(state=State.FAILED, trouble=Trouble.CUT, message="cancelled")
        self._client.close()

    def _asked(self) -> Progress:
        from globus_sdk import GlobusError

        try:
            task = self._client.get_task(self._task).data
            if task["status"] in ("SUCCEEDED", "FAILED"):
                return self._ended(task)
            return self._under_way(task)
        except GlobusError as error:  # the task goes on all the same
            trouble = trouble_of(error)
            return Progress(
                state=State.PAUSED,
                size_bytes=self._now.size_bytes,
                files=self._now.files,
                trouble=trouble.trouble,
                message=trouble.message,
            )

    def _under_way(self, task: dict[str, Any]) -> Progress:
        paused = task["status"] == "INACTIVE" or bool(task.get("is_paused"))
        code = str(task.get("nice_status") or "")
        troubled = paused or code not in ("", "OK", "Queued")
        message = self._last_fault(task) if troubled else ""
        return Progress(
            state=State.PAUSED if paused else State.RUNNING,
            size_bytes=int(task.get("bytes_transferred") or 0),
            files=int(task.get("files_transferred") or 0),
            bytes_per_second=float(task.get("effective_bytes_per_second") or 0),
            trouble=trouble_of_code(code) if troubled else Trouble.NONE,
            message=message,
        )

    def _last_fault(self, task: dict[str, Any]) -> str:
        """Why it is paused, or what the newest of its faults says."""
        if task.get("is_paused"):
            rules = self._client.task_pause_info(self._task).data.get("pause_rules", [])
            return message_of("; ".join(str(rule.get("message", "")) for rule in rules) or "the task is paused")
        for event in self._client.task_event_list(self._task, query_params={"filter": "is_error:1"}, limit=1):
            return message_of(f"{event['description']}: {event['details']}")
        return message_of(str(task.get("nice_status_short_description") or ""))

    def _ended(self, task: dict[str, Any]) -> Progress:
        """One that has failed may have moved some of its files, and one that succeeded may have left some."""
        failed = task["status"] == "FAILED"
        fatal = task.get("fatal_error") or {}
        why = trouble_of_code(str(fatal.get("code", ""))), message_of(f"Globus: {fatal.get('description', '')}")
        skipped = self._skipped()
        if failed:
            arrived = {str(entry["destination_path"]) for entry in self._client.task_successful_transfers(self._task)}
            skipped |= {name: why for path, name in self._names.items() if path not in arrived and name not in skipped}
        if len(skipped) == len(self._names):
            trouble, message = next(iter(skipped.values()), why)
            return Progress(state=State.FAILED, trouble=trouble, message=message)
        return Progress(
            state=State.DONE,
            size_bytes=int(task.get("bytes_transferred") or 0),
            files=int(task.get("files_transferred") or 0),
            skipped=skipped,
        )

    def _skipped(self) -> dict[str, tuple[Trouble, str]]:
        found = {}
        for entry in self._client.task_skipped_errors(self._task):
            name = self._names.get(str(entry["destination_path"]))
            if name is not None:
                message = message_of(f"{entry['source_path']}: {entry['error_details']}")
                found[name] = trouble_of_code(str(entry["error_code"])), message
        return found

    def _cancelled(self) -> None:
        """Asks until it has ended, since it writes until then."""
        from globus_sdk import GlobusError

        with contextlib.suppress(GlobusError):
            self._client.cancel_task(self._task)
            deadline = time.monotonic() + END_SECONDS
            while time.monotonic() < deadline:
                if self._client.get_task(self._task)["status"] in ("SUCCEEDED", "FAILED"):
                    return
                time.sleep(0.5)
