"""Asks a site about its files, and has things done to them there: in a thread here, or by a program over ssh."""

import asyncio
import contextlib
import importlib.resources
import json
import shlex
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import msgspec

from cwlbalsam.sites.transfers.base import Endpoint, Load, Progress, Ssh, State, TransferError, Trouble
from cwlbalsam.sites.transfers.failures import classify, message_of
from cwlbalsam.sites.transfers.process import end
from cwlbalsam.sites.transfers.remote import arrivals, files
from cwlbalsam.sites.transfers.remote.answer import trouble_of
from cwlbalsam.sites.transfers.ssh import options

START = (
    "import json,sys,types;i=sys.stdin.buffer;m=sys.modules;"
    '[exec(compile(t,n,"exec"),m.setdefault(n,types.ModuleType(n)).__dict__)for n,t in json.loads(i.readline())];'
    "m[PACKAGE+'.answer'].main(m[PACKAGE+'.'+PROGRAM].OPERATIONS)"
)
"""One line without an exclamation mark, which login shells of all kinds pass on. Modules come first on stdin."""
PACKAGE = "cwlbalsam.sites.transfers.remote"
ANSWER_SECONDS = 600.0
LOCAL: dict[str, Callable[..., Any]] = {**files.OPERATIONS, **arrivals.OPERATIONS}
"""What is quick enough, or needs no ending, for a thread here."""


async def ask(endpoint: Endpoint, program: str, operation: str, *, apart: bool = False, **arguments: Any) -> Any:
    """The answer of an operation at the site. apart: in a process also here, so that cancelling ends it.

    Raises TransferError.
    """
    if endpoint.local and not apart:
        try:
            return await asyncio.to_thread(LOCAL[operation], **arguments)
        except OSError as error:
            trouble, message = trouble_of(error)
            raise TransferError(Trouble(trouble), f"{endpoint.site}: {message}") from error
    process = await asyncio.create_subprocess_exec(
        *_command(endpoint, program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(None if apart else ANSWER_SECONDS):
            return await _exchange(endpoint, process, _sources(program) + _line([operation, arguments]))
    except TimeoutError:
        raise TransferError(Trouble.SLOW, f"{endpoint.site}: no answer in {ANSWER_SECONDS:.0f} seconds") from None
    finally:
        await end(process)


def _command(endpoint: Endpoint, program: str) -> list[str]:
    start = START.replace("PROGRAM", f"'{program}'").replace("PACKAGE", f"'{PACKAGE}'")
    if endpoint.local:
        return [sys.executable, "-X", "utf8", "-I", "-c", start]
    if endpoint.ssh is None:
        raise TransferError(Trouble.UNFIT, f"site {endpoint.site} has no login, so its files cannot be looked at")
    words = f"{_interpreter(endpoint.ssh)} -X utf8 -I -c {shlex.quote(start)}"
    return ["ssh", *options(endpoint.ssh), "--", endpoint.ssh.host, words]


def _interpreter(ssh: Ssh) -> str:
    """The login shell knows what a leading `~/` is."""
    return f"~/{shlex.quote(ssh.python[2:])}" if ssh.python.startswith("~/") else shlex.quote(ssh.python)


@cache
def _sources(program: str) -> bytes:
    folder = importlib.resources.files(PACKAGE)
    return _line([[f"{PACKAGE}.{name}", (folder / f"{name}.py").read_text("utf-8")] for name in ("answer", program)])


def _line(value: Any) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


async def _exchange(endpoint: Endpoint, process: asyncio.subprocess.Process, request: bytes) -> Any:
    """stdin stays open until the answer is there: its end would end the program."""
    assert process.stdin and process.stdout and process.stderr
    said = asyncio.create_task(process.stderr.read())
    try:
        process.stdin.write(request)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has ended, and its messages say why
    printed = await process.stdout.read()
    process.stdin.close()
    text = (await said).decode("utf-8", "replace")
    return parse_answer(endpoint.site, printed, text)


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
    answer = await ask(load.target, "files", "measure", folder=load.stage)
    return convert(load.target.site, answer, tuple[int, int])  # type: ignore[no-any-return]


def _failed(trouble: Trouble, message: str) -> Progress:
    return Progress(state=State.FAILED, trouble=trouble, message=message_of(message))


def _trouble(why: Any) -> tuple[Trouble, str]:
    if isinstance(why, str):
        return classify(why), message_of(why)
    return Trouble(why[0]), message_of(str(why[1]))
