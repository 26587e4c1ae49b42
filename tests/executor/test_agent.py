"""What an agent hands on between a run and the workers of its pilots."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.cwl.tasks import Outcome, Report, Settings, Task
from cwlbalsam.executor.agent import Agent
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.frames import unpack_outcomes
from cwlbalsam.executor.messages import (
    Ended,
    FromWorker,
    LearnProgram,
    NodeUp,
    OpenRun,
    Reported,
    StartWorker,
    Submit,
    framed,
    pack_message,
    to_node,
    to_run,
)
from cwlbalsam.executor.served import Rules

MACHINE = Machine(cores=4, ram=4096, tmpdir=1 << 20)


class Wire:
    """To a launcher that does nothing."""

    ahead_seconds = 0.2
    confirmed = heard = 0.0

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, body: bytes) -> None:
        self.sent.append(to_node.decode(body))

    async def close(self) -> None:
        """Nothing is open."""


def outcome(job: int) -> Outcome:
    return Outcome(job=job, ending="done", started=1.0, ended=2.5, cpu_seconds=0.5, log="log")


def told_after(folder: Path, reported: Sequence[Outcome]) -> tuple[bytes, Any]:
    """What a worker says that has tasks 0 and 1, and what the run hears of it."""

    async def talk() -> tuple[bytes, Any]:
        agent = Agent(Rules(lambda _: None, lambda task: task, lambda: None))
        server = await asyncio.start_unix_server(agent.serve, folder / "agent.sock")
        reader, writer = await asyncio.open_unix_connection(folder / "agent.sock")
        wire = Wire()
        agent.add_session("s", wire)
        agent.hear("s", pack_message(NodeUp(0, "node", MACHINE, 60.0)))
        tasks = [Task(job=job, program="p", process=0, inputs={}, directory="") for job in range(2)]
        for message in (OpenRun("run", Settings(), "", ""), LearnProgram("p", b""), Submit(tasks)):
            writer.write(framed(message))
        body = msgspec.msgpack.encode(reported)
        async with asyncio.timeout(10):
            while len(wire.sent) < 3:  # a worker, its Program and its tasks
                await asyncio.sleep(0.001)
            (worker,) = [sent.worker for sent in wire.sent if isinstance(sent, StartWorker)]
            agent.hear("s", pack_message(FromWorker(worker, body)))
            while True:
                length = int.from_bytes(await reader.readexactly(4), "little")
                message = to_run.decode(await reader.readexactly(length))
                if isinstance(message, Ended | Reported):
                    break
            writer.close()
            await writer.wait_closed()
            while agent.clients:
                await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)  # the agent's side is closed a turn later
        return body, message

    return asyncio.run(talk())


def test_outcomes_reach_their_run_as_the_worker_wrote_them(tmp_path: Path) -> None:
    said, heard = told_after(tmp_path, [outcome(0), outcome(1)])
    assert heard == Reported(said)
    assert unpack_outcomes(heard.body) == [outcome(0), outcome(1)]


def test_outcomes_of_tasks_that_the_worker_did_not_have_are_left_out(tmp_path: Path) -> None:
    _, heard = told_after(tmp_path, [outcome(0), outcome(7)])
    assert heard == Ended([outcome(0)])


def test_a_report_is_an_outcome_seen_by_who_hands_it_on() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(outcome(3)), type=Report) == Report(
        job=3, started=1.0, ended=2.5
    )
