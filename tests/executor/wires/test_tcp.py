import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from cwlbalsam.executor.allocation import listening_socket
from cwlbalsam.executor.wires import tcp
from cwlbalsam.executor.wires.tcp import Refused, TcpCaller, TcpWire, listen

TOKEN = b"t" * 32


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


class Listener:
    """An agent with one session, which can lose its connections."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.wire = TcpWire(self.got.append, echoes=True)

    async def open(self) -> None:
        door = listening_socket()
        self.port = door.getsockname()[1]
        self.server = await listen(lambda name: (TOKEN, self.wire) if name == "s" else None, door)

    def caller(self, got: list[bytes], token: bytes = TOKEN, name: str = "s") -> TcpCaller:
        return TcpCaller(name, token, lambda: [("127.0.0.1", self.port)], got.append)


def run(scenario: Callable[[Listener], Awaitable[None]]) -> None:
    async def main() -> None:
        listener = Listener()
        await listener.open()
        try:
            await scenario(listener)
        finally:
            listener.wire.hang_up()
            listener.server.close()

    asyncio.run(main())


def test_messages_pass_both_ways_and_survive_a_cut_connection() -> None:
    async def scenario(listener: Listener) -> None:
        got: list[bytes] = []
        caller = listener.caller(got)
        caller.send(b"early")
        calling = asyncio.create_task(caller.run())
        for number in range(50):
            caller.send(b"up %d" % number)
            listener.wire.send(b"down %d" % number)
            if number % 10 == 5:
                (listener.wire if number % 20 == 5 else caller).hang_up()
            await asyncio.sleep(0.01)
        await until(lambda: len(got) == 50 and len(listener.got) == 51)
        calling.cancel()
        assert got == [b"down %d" % number for number in range(50)]
        assert listener.got == [b"early", *(b"up %d" % number for number in range(50))]

    run(scenario)


def test_who_does_not_know_the_token_or_the_session_gets_nowhere() -> None:
    async def scenario(listener: Listener) -> None:
        callers = [listener.caller([], token=b"x" * 32), listener.caller([], name="unknown")]
        calling = [asyncio.create_task(caller.run()) for caller in callers]
        for caller in callers:
            caller.send(b"secret")
        await asyncio.sleep(0.3)
        assert not any(caller.was_connected for caller in callers)
        assert listener.got == []
        for task in calling:
            task.cancel()

    run(scenario)


def test_an_agent_of_another_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(listener: Listener) -> None:
        caller = listener.caller([])
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        monkeypatch.setattr(tcp, "__version__", "0.0.0")
        greeting = asyncio.create_task(caller._greet(reader, writer))
        await asyncio.sleep(0)
        monkeypatch.undo()
        with pytest.raises(Refused, match=r"the launcher of 0\.0\.0"):
            await greeting

    run(scenario)


def test_the_lease_counts_from_the_last_word_that_the_agent_has_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "SIGN_SECONDS", 0.02)

    async def scenario(listener: Listener) -> None:
        caller = listener.caller([])
        calling = asyncio.create_task(caller.run())
        await until(lambda: caller.is_connected)
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(0.1)
        listener.wire.send(b"x")  # carries the echo
        await until(lambda: caller.confirmed > before)
        assert caller.confirmed <= asyncio.get_running_loop().time()
        calling.cancel()

    run(scenario)


def test_the_lease_of_who_is_heard_lasts_though_the_agent_has_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "SIGN_SECONDS", 0.02)

    async def scenario(listener: Listener) -> None:
        caller = listener.caller([])
        calling = asyncio.create_task(caller.run())
        await until(lambda: caller.is_connected)
        connected = time.monotonic()
        await until(lambda: caller.confirmed > connected + 0.2)
        calling.cancel()

    run(scenario)


def test_a_port_scan_and_noise_do_no_harm() -> None:
    async def scenario(listener: Listener) -> None:
        for noise in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000):
            with socket.create_connection(("127.0.0.1", listener.port)) as connection:
                connection.sendall(noise)
                await asyncio.sleep(0.02)
        got: list[bytes] = []
        calling = asyncio.create_task((caller := listener.caller(got)).run())
        listener.wire.send(b"still there")
        await until(lambda: got == [b"still there"])
        assert caller.was_connected
        calling.cancel()

    run(scenario)
