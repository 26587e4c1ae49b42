"""Programs that wait at a site for what they are asked next: a login and the start of Python are paid once."""

import asyncio
import contextlib
import importlib.resources
import json
import shlex
import sys
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from cwlbalsam.sites.transfers.base import Endpoint, Ssh, TransferError, Trouble
from cwlbalsam.sites.transfers.process import end
from cwlbalsam.sites.transfers.ssh import options

PACKAGE = "cwlbalsam.sites.transfers.remote"
PROGRAMS = ("answer", "files", "arrivals", "scratch", "web")
START = (
    "import json,sys,types;i=sys.stdin.buffer;m=sys.modules;"
    "l=json.loads(i.readline());"
    '[exec(compile(t,n,"exec"),m.setdefault(n,types.ModuleType(n)).__dict__)for n,t in l];'
    "m[l[0][0]].main({k:v for n,t in l[1:] for k,v in m[n].OPERATIONS.items()})"
)
"""One line without an exclamation mark, which login shells of all kinds pass on. The modules come first on stdin."""
BLOCK = 1 << 16

_idle: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Ssh | None, list[Session]]]" = WeakKeyDictionary()


class Session:
    """One program, which answers one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._said = bytearray()
        self._listening = asyncio.create_task(self._listen(process.stderr))
        self.alive = True

    @classmethod
    async def start(cls, endpoint: Endpoint) -> "Session":
        """Raises TransferError."""
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(endpoint),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise TransferError(Trouble.UNFIT, f"ssh cannot be started: {error.strerror}") from error
        session = cls(process)
        await session._write(_sources())
        return session

    async def exchange(self, operation: str, arguments: dict[str, Any]) -> tuple[bytes, str]:
        """(what it printed, its messages); it is not alive any more if the answer is not whole."""
        await self._write(_line([operation, arguments]))
        printed = bytearray()
        nuls = 0
        while nuls < 2:
            data = await self._out.read(BLOCK)
            if not data:
                self.alive = False
                await self._listening
                break
            printed += data
            nuls += data.count(0)
        return bytes(printed), self._said.decode("utf-8", "replace")

    async def end(self) -> None:
        """Its end, and that of what it does."""
        self.alive = False
        self._in.close()
        await end(self._process)
        self._listening.cancel()

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended, and says why
            self._in.write(data)
            await self._in.drain()

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(BLOCK):
            self._said += data
            del self._said[:-BLOCK]


def idle_sessions(endpoint: Endpoint) -> list[Session]:
    """Of the endpoint's login, to take from and to put back."""
    by_login = _idle.setdefault(asyncio.get_running_loop(), {})
    return by_login.setdefault(None if endpoint.local else endpoint.ssh, [])


async def end_sessions() -> None:
    """All that nobody uses now; their shared connections end by themselves."""
    for sessions in _idle.pop(asyncio.get_running_loop(), {}).values():
        await asyncio.gather(*(session.end() for session in sessions))


def _command(endpoint: Endpoint) -> list[str]:
    if endpoint.local:
        return [sys.executable, "-X", "utf8", "-I", "-c", START]
    if endpoint.ssh is None:
        raise TransferError(Trouble.UNFIT, f"site {endpoint.site} has no login, so its files cannot be looked at")
    words = f"{_interpreter(endpoint.ssh)} -X utf8 -I -c {shlex.quote(START)}"
    return ["ssh", *options(endpoint.ssh), "--", endpoint.ssh.host, words]


def _interpreter(ssh: Ssh) -> str:
    """The login shell knows what a leading `~/` is."""
    return f"~/{shlex.quote(ssh.python[2:])}" if ssh.python.startswith("~/") else shlex.quote(ssh.python)


@cache
def _sources() -> bytes:
    folder = importlib.resources.files(PACKAGE)
    return _line([[f"{PACKAGE}.{name}", (folder / f"{name}.py").read_text("utf-8")] for name in PROGRAMS])


def _line(value: Any) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"
