"""A transfer that is a command, or two with a pipe between them."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cwlbalsam.sites.transfers.base import Progress, State, TransferError, Trouble
from cwlbalsam.sites.transfers.failures import classify, message_of

KEPT_BYTES = 1 << 16
"""Of what a tool prints: the end, in which it says what went wrong."""
GRACE_SECONDS = 5.0

Measure = Callable[[], Awaitable[tuple[int, int]]]


class Stage(Struct, frozen=True, kw_only=True):
    """One command of a pipe. ends: exit codes that mean success."""

    argv: Sequence[str]
    environment: Mapping[str, str] = {}
    ends: frozenset[int] = frozenset({0})


class Running:
    """Commands that are one transfer.

    measure: (files, bytes) that have arrived. close: called once it has ended, whatever way. whole: (files, bytes) to
    come.
    """

    def __init__(
        self,
        processes: Sequence[asyncio.subprocess.Process],
        stages: Sequence[Stage],
        *,
        whole: tuple[int, int] = (0, 0),
        measure: Measure | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._processes = processes
        self._stages = stages
        self._whole = whole
        self._measure = measure
        self._close = close
        self._printed = bytearray()
        self._said = bytearray()
        self._now = Progress()
        self._seen = (time.monotonic(), 0)
        self._readers = [asyncio.create_task(_keep(process.stderr, self._said)) for process in processes]
        self._readers.append(asyncio.create_task(_keep(processes[-1].stdout, self._printed)))

    async def poll(self) -> Progress:
        if self._now.ended:
            return self._now
        if all(process.returncode is not None for process in self._processes):
            await asyncio.gather(*self._readers)
            self._end(self._judged())
        else:
            files, size_bytes = await self._measured()
            self._now = Progress(files=files, size_bytes=size_bytes, bytes_per_second=self._rate(size_bytes))
        return self._now

    async def wait(self, seconds: float) -> None:
        """Until it has ended, so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(process.wait() for process in self._processes))

    async def cancel(self) -> None:
        if self._now.ended:
            return
        for process in self._processes:
            await end(process)
        for reader in self._readers:
            reader.cancel()
        self._end(Progress(state=State.FAILED, trouble=Trouble.CUT, message="cancelled"))

    def _end(self, progress: Progress) -> None:
        self._now = progress
        self._close()

    def _judged(self) -> Progress:
        codes = [process.returncode for process in self._processes]
        if all(code in stage.ends for code, stage in zip(codes, self._stages, strict=True)):
            return Progress(state=State.DONE, files=self._whole[0], size_bytes=self._whole[1])
        text = self._said.decode("utf-8", "replace")
        if not text.strip():
            text = self._printed.decode("utf-8", "replace")
        code = next(code for code, stage in zip(codes, self._stages, strict=True) if code not in stage.ends)
        message = message_of(text) or f"{self._stages[codes.index(code)].argv[0]} ended with code {code}"
        trouble = Trouble.CUT if code is not None and code < 0 and not text.strip() else classify(text)
        return Progress(state=State.FAILED, trouble=trouble, message=message)

    async def _measured(self) -> tuple[int, int]:
        if self._measure is not None:
            with contextlib.suppress(TransferError):  # what matters is whether the transfer itself goes on
                return await self._measure()
        return self._now.files, self._now.size_bytes

    def _rate(self, size_bytes: int) -> float:
        now, (then, before) = time.monotonic(), self._seen
        self._seen = now, size_bytes
        return max(size_bytes - before, 0) / max(now - then, 1e-6)


async def start_commands(*stages: Stage, stdin: bytes = b"") -> list[asyncio.subprocess.Process]:
    """Start commands, the output of each the input of the next one; stdin is for the first.

    Raises TransferError if one is not there; then none is left.
    """
    processes: list[asyncio.subprocess.Process] = []
    source: int = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
    for number, stage in enumerate(stages):
        last = number == len(stages) - 1
        ends = (-1, asyncio.subprocess.PIPE) if last else os.pipe()
        try:
            processes.append(
                await asyncio.create_subprocess_exec(
                    *stage.argv,
                    stdin=source,
                    stdout=ends[1],
                    stderr=asyncio.subprocess.PIPE,
                    env={**os.environ, "LC_ALL": "C", **stage.environment},
                    start_new_session=True,
                )
            )
        except OSError as error:
            for process in processes:
                await end(process)
            raise TransferError(Trouble.UNFIT, f"{stage.argv[0]}: {error.strerror}") from error
        finally:
            if source >= 0:
                os.close(source)
            if not last:
                os.close(ends[1])
            source = ends[0]
    if stdin:
        await _feed(processes[0], stdin)
    return processes


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended, and says why
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()


async def _keep(stream: asyncio.StreamReader | None, kept: bytearray) -> None:
    while stream is not None and (data := await stream.read(KEPT_BYTES)):
        kept += data
        del kept[:-KEPT_BYTES]


async def end(process: asyncio.subprocess.Process) -> None:
    """End a command and what it has started; returns when it is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()


def is_installed(name: str) -> bool:
    """Whether this machine has a command."""
    return any(os.access(Path(folder) / name, os.X_OK) for folder in os.get_exec_path())
