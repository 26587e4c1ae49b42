"""Lines over connections that are cut at random."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cwlbalsam.executor.wires import line
from cwlbalsam.executor.wires.line import Caller, Streams, Switchboard


class Cutting:
    """A server of a switchboard, and the connections to it, which can be cut."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.server: asyncio.Server | None = None
        self.open: list[asyncio.StreamWriter] = []
        self.dialled = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.board.answer, "127.0.0.1", 0)

    async def dial(self) -> Streams:
        assert self.server is not None
        self.dialled += 1
        reader, writer = await asyncio.open_connection(*self.server.sockets[0].getsockname())
        self.open.append(writer)
        return reader, writer

    def cut(self) -> None:
        while self.open:
            self.open.pop().transport.abort()


async def echo(reader: asyncio.StreamReader, writer: Any) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


def play(story: Callable[[Cutting], Awaitable[None]], serve: Any = echo) -> None:
    async def run() -> None:
        cutting = Cutting(Switchboard(serve))
        await cutting.start()
        async with asyncio.timeout(30):
            await story(cutting)
        cutting.cut()
        await asyncio.sleep(0.05)
        assert cutting.server is not None
        cutting.server.close()

    asyncio.run(run())


def test_all_arrives_once_and_in_order_whatever_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)

    async def story(cutting: Cutting) -> None:
        caller = Caller("run", cutting.dial, lambda _: None)
        spoken = await caller.start()
        sent = b"".join(number.to_bytes(4, "big") for number in range(50_000))
        came = bytearray()

        async def speak() -> None:
            for first in range(0, len(sent), 4000):
                spoken.write(sent[first : first + 4000])
                await asyncio.sleep(0)
                if chance.random() < 0.1:
                    cutting.cut()
                    await asyncio.sleep(0.01)
            spoken.close()

        speaking = asyncio.create_task(speak())
        while data := await spoken.reader.read(1 << 16):
            came += data
        await speaking
        assert bytes(came) == sent
        assert cutting.dialled > 2
        await spoken.wait_closed()
        await caller.stop()

    original = asyncio.sleep

    async def brief(seconds: float) -> None:
        await original(min(seconds, 0.01))

    monkeypatch.setattr(line.asyncio, "sleep", brief)
    play(story)


def test_a_line_that_the_other_end_does_not_know_ends() -> None:
    async def story(cutting: Cutting) -> None:
        caller = Caller("run", cutting.dial, lambda _: None)
        spoken = await caller.start()
        cutting.board._lines.clear()  # as after another life
        cutting.cut()
        assert await spoken.reader.read() == b""
        await caller.stop()

    play(story)


def test_a_new_line_of_a_run_ends_the_old_one() -> None:
    ended = []

    async def serve(reader: asyncio.StreamReader, writer: Any) -> None:
        ended.append(await reader.read())
        writer.close()

    async def story(cutting: Cutting) -> None:
        old = Caller("run", cutting.dial, lambda _: None)
        (await old.start()).write(b"old")
        other = Caller("other", cutting.dial, lambda _: None)
        await other.start()
        await asyncio.sleep(0.05)
        new = Caller("run", cutting.dial, lambda _: None)
        await new.start()
        await asyncio.sleep(0.05)
        assert ended == [b"old"]
        for caller in (old, other, new):
            await caller.stop()

    play(story, serve)


def test_nobody_waits_for_ever_for_a_caller_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def serve(reader: asyncio.StreamReader, writer: Any) -> None:
        ended.append(await reader.read())
        writer.close()

    async def story(cutting: Cutting) -> None:
        caller = Caller("run", cutting.dial, lambda _: None)
        await caller.start()
        await caller.stop()
        await asyncio.sleep(0.05)
        cutting.board.give_up()
        assert not ended
        monkeypatch.setattr(line, "KEEP_SECONDS", 0.0)
        async with asyncio.timeout(10):
            while not ended:
                cutting.board.give_up()
                await asyncio.sleep(0.02)
        assert ended == [b""]

    play(story, serve)
