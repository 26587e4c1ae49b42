"""`cwlbalsam agent NAME --stdio`: its standard streams are a connection to the agent of a site on this machine."""

import asyncio
import contextlib
import os
import socket
import sys
import threading

import msgspec
from msgspec.structs import replace

from cwlbalsam import __version__
from cwlbalsam.errors import UserError
from cwlbalsam.service.agents import LINES, connect
from cwlbalsam.service.home import Home
from cwlbalsam.service.remote_agents import MARK, Answer, Call
from cwlbalsam.sites.site import Site

BLOCK = 1 << 16


def bridge(name: str, home: Home) -> int:
    """Until either side hangs up; the exit code."""
    call = _read_call()
    if call is None:
        return _say(Answer(__version__, "the call is no call of cwlbalsam's"))
    if call.version != __version__:
        hint = f"install the same version at both ends: `pip install cwlbalsam=={call.version}` at the site"
        return _say(Answer(__version__, f"cwlbalsam is {__version__} there and {call.version} here", hint))
    try:
        door = asyncio.run(_reach(home, replace(call.site, name=name, host="", file="")))
    except UserError as error:
        problem = error.problems[0]
        return _say(Answer(__version__, problem.message, problem.hint))
    _say(Answer(__version__))
    _pass_on(door)
    return 0


def _read_call() -> Call | None:
    line = sys.stdin.buffer.raw.readline(1 << 20) if hasattr(sys.stdin.buffer, "raw") else b""
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(line, type=Call)
    return None


def _say(answer: Answer) -> int:
    os.write(1, MARK + msgspec.json.encode(answer) + b"\n")
    return 1 if answer.error else 0


async def _reach(home: Home, site: Site) -> socket.socket:
    """Raises UserError."""
    _, writer = await connect(home, site, LINES)
    found: socket.socket = writer.get_extra_info("socket")
    door = socket.socket(fileno=os.dup(found.fileno()))
    writer.close()  # of its own descriptor only
    door.setblocking(True)
    return door


def _pass_on(door: socket.socket) -> None:
    """Both ways, as it comes."""

    def inward() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(0, BLOCK):
                door.sendall(data)
        with contextlib.suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=inward, daemon=True).start()
    with contextlib.suppress(OSError):
        while data := door.recv(BLOCK):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
