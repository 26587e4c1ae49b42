"""Asks a site about its files, and has things done to them there: in a thread here, or by a program over ssh."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from cwlbalsam.sites.transfers.base import Endpoint, Load, Progress, State, TransferError, Trouble
from cwlbalsam.sites.transfers.failures import classify, message_of
from cwlbalsam.sites.transfers.remote import arrivals, files, scratch
from cwlbalsam.sites.transfers.remote.answer import trouble_of
from cwlbalsam.sites.transfers.sessions import Session, idle_sessions

ANSWER_SECONDS = 900.0
LOCAL: dict[str, Callable[..., Any]] = {**files.OPERATIONS, **arrivals.OPERATIONS, **scratch.OPERATIONS}
"""What is quick enough, or needs no ending, for a thread here."""


async def ask(endpoint: Endpoint, operation: str, *, apart: bool = False, **arguments: Any) -> Any:
    """The answer of an operation at the site. apart: in a process also here, so that cancelling ends it.

    Raises TransferError.
    """
    if endpoint.local and not apart:
        try:
            return await asyncio.to_thread(LOCAL[operation], **arguments)
        except OSError as error:
            trouble, message = trouble_of(error)
            raise TransferError(Trouble(trouble), f"{endpoint.site}: {message}") from error
    idle = idle_sessions(endpoint)
    while True:
        used = bool(idle)
        session = idle.pop() if used else await Session.start(endpoint)
        try:
            async with asyncio.timeout(None if apart else ANSWER_SECONDS):
                printed, said = await session.exchange(operation, arguments)
        except BaseException as error:
            await session.end()
            if isinstance(error, TimeoutError):
                message = f"{endpoint.site}: no answer in {ANSWER_SECONDS:.0f} seconds"
                raise TransferError(Trouble.SLOW, message) from None
            raise
        if session.alive:
            idle.append(session)
            return parse_answer(endpoint.site, printed, said)
        await session.end()
        if not used:  # one that had waited may have lost its connection long ago
            return parse_answer(endpoint.site, printed, said)


def parse_answer(site: str, printed: bytes, said: str) -> Any:
    """What a program answered; around it stands what the login's start-up files print. Raises TransferError."""
    parts = printed.split(b"\0")
    if len(parts) < 3:
        trouble = classify(said) if said.strip() else Trouble.CUT
        message = message_of(said) or "the connection was closed"
        raise TransferError(trouble, f"{site}: {message}")
    try:
        answer = json.loads(parts[-2])
        if isinstance(answer, dict) and "answer" in answer:
            return answer["answer"]
        trouble_name, message = answer["trouble"]
        raise TransferError(Trouble(trouble_name), f"{site}: {message}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError(Trouble.OTHER, f"{site}: it answered with what is no answer") from error


def convert(site: str, answer: Any, kind: Any) -> Any:
    """An answer as the type that it must have. Raises TransferError."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise TransferError(Trouble.OTHER, f"{site}: it answered with what is no answer: {error}") from error


class Asked:
    """A transfer that a program at a site makes. Its answer: [trouble, message] or a message by name, of what failed.

    measured: where to ask how far it is.
    """

    def __init__(self, answer: Awaitable[Any], load: Load, *, measured: bool = True) -> None:
        self._task = asyncio.ensure_future(answer)
        self._load = load
        self._measured = measured
        self._now = Progress()

    async def poll(self) -> Progress:
        if self._now.ended:
            return self._now
        if self._task.done():
            self._now = self._judged()
        elif self._measured:
            with contextlib.suppress(TransferError):  # what matters is whether the transfer itself goes on
                files, size = await measure(self._load)
                self._now = Progress(files=files, size_bytes=size)
        return self._now

    async def wait(self, seconds: float) -> None:
        await asyncio.wait([self._task], timeout=seconds)

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._now.ended:
            self._now = _failed(Trouble.CUT, "cancelled")

    def _judged(self) -> Progress:
        try:
            answer = self._task.result()
        except TransferError as error:
            return _failed(error.trouble, error.message)
        except asyncio.CancelledError:
            return _failed(Trouble.CUT, "cancelled")
        skipped = {str(name): _trouble(why) for name, why in dict(answer).items()}
        if skipped and len(skipped) == len(self._load.parcels):
            return _failed(*next(iter(skipped.values())))
        size = sum(parcel.size or 0 for parcel in self._load.parcels)
        return Progress(state=State.DONE, files=len(self._load.parcels), size_bytes=size, skipped=skipped)


async def measure(load: Load) -> tuple[int, int]:
    """(files, bytes) that have arrived, if only in part. Raises TransferError."""
    answer = await ask(load.target, "measure", folder=load.stage)
    return convert(load.target.site, answer, tuple[int, int])  # type: ignore[no-any-return]


def _failed(trouble: Trouble, message: str) -> Progress:
    return Progress(state=State.FAILED, trouble=trouble, message=message_of(message))


def _trouble(why: Any) -> tuple[Trouble, str]:
    if isinstance(why, str):
        return classify(why), message_of(why)
    return Trouble(why[0]), message_of(str(why[1]))
