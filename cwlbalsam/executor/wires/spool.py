"""The way by files that both sides see, for nodes without a network to the agent: slower, but it needs nothing else.

Each side appends to files of its own, `NAME.0`, `NAME.1`, ..., and reads the other's; who has read one to its end, and
sees the next one, removes it. Records: length, CRC-32, bytes; a torn tail is read once it is whole. Files are opened
anew each time, since that is when a network file system looks for what others have written.
"""

import asyncio
import contextlib
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cwlbalsam.executor.wires.base import SIGN_SECONDS, OnMessage
from cwlbalsam.executor.wires.stream import BrokenStream, Reader, Stream

LEAST_SECONDS, MOST_SECONDS = 0.02, 0.5
"""Between two looks: soon after something has come, more rarely when nothing does."""
FILE_BYTES = 16 << 20
HEAD_BYTES = 8
Name = Literal["agent", "launcher"]
OTHER: dict[Name, Name] = {"agent": "launcher", "launcher": "agent"}


class SpoolWriter:
    def __init__(self, folder: Path, name: Name) -> None:
        self._folder, self._name = folder, name
        self._number = 0
        self._size = 0

    def append(self, data: bytes) -> None:
        """Raises OSError, with nothing written that would be read."""
        record = len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little") + data
        path = self._folder / f"{self._name}.{self._number}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            written = os.write(handle, record)
            if written < len(record):  # the disk is full
                os.ftruncate(handle, self._size)
                raise OSError("no space is left for messages")
        finally:
            os.close(handle)
        self._size += written
        if self._size >= FILE_BYTES:
            self._number, self._size = self._number + 1, 0


class SpoolReader:
    def __init__(self, folder: Path, name: Name) -> None:
        self._folder, self._name = folder, name
        self._number = 0
        self._start = 0

    def read(self) -> Iterator[bytes]:
        """What has come. Raises BrokenStream."""
        while True:
            path, following = (self._folder / f"{self._name}.{self._number + step}" for step in (0, 1))
            is_last = not following.exists()  # asked first: what is written later belongs to the next look
            yield from self._records(path)
            if is_last:
                return
            self._number, self._start = self._number + 1, 0
            path.unlink(missing_ok=True)

    def _records(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                file.seek(self._start)
                data = file.read()
        except FileNotFoundError:
            return
        start = 0
        while start + HEAD_BYTES <= len(data):
            end = start + HEAD_BYTES + int.from_bytes(data[start : start + 4], "little")
            if end > len(data):
                break
            body = data[start + HEAD_BYTES : end]
            if zlib.crc32(body) != int.from_bytes(data[start + 4 : start + HEAD_BYTES], "little"):
                raise BrokenStream(f"{path} is damaged at byte {self._start + start}")
            yield body
            start = end
        self._start += start


class SpoolWire:
    """One side. echoes: as of `tcp.TcpWire`."""

    ahead_seconds = 3.0

    def __init__(self, folder: Path, name: Name, on_message: OnMessage, *, echoes: bool) -> None:
        self.heard = time.monotonic()
        self.confirmed = time.monotonic()
        self._stream = Stream()
        self._frames = Reader()
        self._writer, self._reader = SpoolWriter(folder, name), SpoolReader(folder, OTHER[name])
        self._on_message = on_message
        self._echoes = echoes
        self._outbox = bytearray()
        self._signed = 0.0
        self._wake = asyncio.Event()

    def send(self, body: bytes) -> None:
        self._outbox += self._stream.send(body, self._stamp())
        self._wake.set()

    async def run(self) -> None:
        """For ever, or until the other side's file is damaged: then it is as if it were silent."""
        patience = LEAST_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._wake.wait()
            self._wake.clear()
            try:
                came = self._receive()
            except BrokenStream:
                return
            self._flush()
            patience = LEAST_SECONDS if came else min(patience * 1.5, MOST_SECONDS)

    def hang_up(self) -> None:
        """Nothing is open."""

    async def close(self) -> None:
        self._flush()

    def _receive(self) -> bool:
        came = False
        for data in self._reader.read():
            self.heard = time.monotonic()
            for frame in self._frames.feed(data):
                body = self._stream.accept(frame)
                if not self._echoes:
                    self.confirmed = max(self.confirmed, frame.stamp)
                if body is not None:
                    came = True
                    self._on_message(body)
        return came

    def _flush(self) -> None:
        if time.monotonic() - self._signed >= SIGN_SECONDS:
            self._outbox += self._stream.sign_of_life(self._stamp())
        if self._outbox:
            with contextlib.suppress(OSError):  # tried again at the next look
                self._writer.append(bytes(self._outbox))
                self._outbox.clear()
                self._signed = time.monotonic()

    def _stamp(self) -> float:
        return self._stream.stamp if self._echoes else time.monotonic()
