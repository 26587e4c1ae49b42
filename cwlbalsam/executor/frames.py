"""What travels between a pool and its workers: msgpack messages, each behind its length in four bytes."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Grant, Outcome, Report, Task

FRAME_TASKS = 64
"""Tasks or outcomes in one frame, at most."""


class Learn(Struct, frozen=True, tag="learn", array_like=True):
    """A Program, sent once to each worker, ahead of the first task that needs it."""

    digest: str
    program: bytes


class Work(Struct, frozen=True, tag="work", array_like=True):
    """limits: how many tasks with this grant the worker may run at once from now on; the others wait in the worker."""

    tasks: list[Task]
    limits: list[tuple[Grant, int]]


class Cancel(Struct, frozen=True, tag="cancel", array_like=True):
    """unstarted: only those whose command does not run yet."""

    jobs: list[int]
    unstarted: bool = False


Message = Learn | Work | Cancel

_encoder = msgspec.msgpack.Encoder()
_messages = msgspec.msgpack.Decoder(Message)
_outcomes = msgspec.msgpack.Decoder(list[Outcome])
_reports = msgspec.msgpack.Decoder(list[Report])


def pack(message: Message | list[Outcome]) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "little") + body


def unpack_message(body: bytes) -> Message:
    message: Message = _messages.decode(body)
    return message


def unpack_outcomes(body: bytes) -> list[Outcome]:
    return _outcomes.decode(body)


def unpack_reports(body: bytes) -> list[Report]:
    """The same outcomes, for who hands them on."""
    return _reports.decode(body)


class Inbox:
    """Bytes come in as a socket has them, bodies of whole frames go out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "little")
            if len(buffer) < end:
                break
            yield bytes(memoryview(buffer)[start + 4 : end])
            start = end
        del buffer[:start]


class Outbox:
    """Frames that the socket has not taken yet. A full socket is no reason to stop reading, so nothing here blocks."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __bool__(self) -> bool:
        return bool(self._buffer)

    def add(self, frame: bytes) -> None:
        self._buffer += frame

    def peek(self) -> memoryview:
        return memoryview(self._buffer)[: 1 << 18]

    def sent(self, count: int) -> None:
        del self._buffer[:count]
