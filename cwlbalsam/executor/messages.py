"""What agent, launcher, supervisor and run tell each other; msgpack.

Frames for a worker and what a worker says pass through as they are: `body` is never looked at on the way.
"""

from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Outcome, Settings, Task
from cwlbalsam.executor.capacity import Machine


class Message(Struct, frozen=True, array_like=True, tag=True):
    pass


# --- from a supervisor, by way of its launcher, to the agent ---


class NodeUp(Message, frozen=True):
    """seconds: that the allocation lasts from now on."""

    node: int
    name: str
    machine: Machine
    seconds: float


class NodeDown(Message, frozen=True):
    """Nothing that ran there lives any more."""

    node: int
    why: str


class WorkerDied(Message, frozen=True):
    """Nothing of its jobs lives any more."""

    worker: int
    how: str


class FromWorker(Message, frozen=True):
    worker: int
    body: bytes


class Leaving(Message, frozen=True):
    """The launcher ends all that runs, and itself."""

    why: str


# --- from the agent, by way of a launcher, to a supervisor ---


class StartWorker(Message, frozen=True):
    """journal: file; empty: none."""

    node: int
    worker: int
    settings: Settings
    journal: str


class ToWorker(Message, frozen=True):
    node: int
    worker: int
    body: bytes


class EndWorker(Message, frozen=True):
    """It ends what it still runs."""

    node: int
    worker: int


class Leave(Message, frozen=True):
    pass


# --- from a run to its agent ---


class OpenRun(Message, frozen=True):
    """directory: of the run, where its nodes see it, too; empty: the site's machine is another one, and chooses it.
    journals: empty: none are written.

    Of a run from another machine alone: engine: the container engine that it asks for, "auto" for any that works, ""
    for none. keeps_journals: there are no secrets. owner: the home that it belongs to.
    """

    run: str
    settings: Settings
    directory: str
    journals: str
    engine: str = ""
    keeps_journals: bool = True
    owner: str = ""


class LearnProgram(Message, frozen=True):
    digest: str
    body: bytes


class Submit(Message, frozen=True):
    tasks: list[Task]


class CancelJobs(Message, frozen=True):
    jobs: list[int]
    unstarted: bool


class Recall(Message, frozen=True):
    """Tasks of an earlier agent: each is answered with what it has journalled, or else as lost. None: all that is
    journalled is told."""

    tasks: list[tuple[int, int, bytes]] | None


class CleanUp(Message, frozen=True):
    """The run has ended well and needs nothing more that is at the site."""


# --- from an agent to a run ---


class Opened(Message, frozen=True):
    """directory: of the run at the site; engine: that its containers will have; work: the site's folder for all runs.
    For runs of this machine these are empty: they know."""

    directory: str = ""
    engine: str = ""
    work: str = ""


class Refusal(Message, frozen=True):
    message: str
    hint: str = ""


class Ended(Message, frozen=True):
    outcomes: list[Outcome]


class Reported(Message, frozen=True):
    """What a worker has said, as it came: msgpack of a list of outcomes."""

    body: bytes


class Started(Message, frozen=True):
    jobs: list[int]


class Notice(Message, frozen=True):
    """For the user to read: what happens to pilots."""

    text: str


ToAgent = NodeUp | NodeDown | WorkerDied | FromWorker | Leaving
ToNode = StartWorker | ToWorker | EndWorker | Leave
ToSite = OpenRun | LearnProgram | Submit | CancelJobs | Recall | CleanUp
ToRun = Opened | Refusal | Ended | Reported | Started | Notice

_encoder = msgspec.msgpack.Encoder()


def pack_message(message: Message) -> bytes:
    return _encoder.encode(message)


def framed(message: Message) -> bytes:
    """For a stream of bytes: behind its length in four bytes, as `frames.Inbox` takes it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "little") + body


to_agent: Any = msgspec.msgpack.Decoder(ToAgent)
to_node: Any = msgspec.msgpack.Decoder(ToNode)
to_site: Any = msgspec.msgpack.Decoder(ToSite)
to_run: Any = msgspec.msgpack.Decoder(ToRun)
