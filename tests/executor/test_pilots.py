"""Pilots of a site whose Slurm is a script, for an agent that only tells what waits."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from cwlbalsam.cwl.tasks import ANY_PILOT, Grant, PilotKind
from cwlbalsam.executor.agent import Agent, Session
from cwlbalsam.executor.batch import BatchSystem
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.dispatch import Waiting
from cwlbalsam.executor.pilot import PilotFile
from cwlbalsam.executor.pilots import Pilots
from cwlbalsam.executor.site_limits import PilotLimits, SiteLimits
from cwlbalsam.executor.wires.base import Wire
from cwlbalsam.sites.schedulers import SCHEDULERS, ask
from cwlbalsam.sites.schedulers.base import BatchRequest

NODE = Machine(cores=4, ram=4000, tmpdir=1e9)
LIMITS = PilotLimits(pilots=4, nodes=4, nodes_per_pilot=4, wall_seconds=3600, idle_seconds=60)
PARTITION = "PartitionName=batch Default=YES MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 State=UP TotalNodes=4\n"


class FakeAgent:
    def __init__(self, *waits: Waiting) -> None:
        self.sessions: dict[str, Session] = {}
        self.waits = waits
        self.notices: list[str] = []

    def waiting(self) -> Sequence[Waiting]:
        return self.waits

    def add_session(self, session: str, wire: Wire, pilot: PilotKind = ANY_PILOT) -> None:
        self.sessions[session] = Session(session, wire, pilot=pilot)

    def notify(self, text: str) -> None:
        self.notices.append(text)

    def fail_waiting(self, message: str, matches: object = None) -> None:
        self.notices.append(f"failed: {message}")


class FakeSlurm:
    """Nothing that is submitted starts. nodes: None if sinfo fails. refuses: every batch job."""

    def __init__(self, nodes: str | None, *, refuses: bool = False) -> None:
        self.nodes, self.refuses = nodes, refuses
        self.asked: list[str] = []
        self.scripts: list[str] = []

    async def __call__(self, command: Sequence[str], seconds: float) -> ask.Answer:
        program = next(word for word in command if "=" not in word and word != "env")
        self.asked.append(program)
        if program == "sbatch":
            self.scripts.append(Path(command[-1]).read_text())
            return ask.Answer(1, "", "Invalid account") if self.refuses else ask.Answer(0, f"{len(self.scripts)}\n", "")
        if program == "sinfo":
            return ask.Answer(0, self.nodes, "") if self.nodes is not None else ask.Answer(1, "", "it is down")
        if program == "squeue" and any(word.startswith("--jobs") for word in command):
            return ask.Answer(0, "".join(f"{number + 1}|PENDING|None\n" for number in range(len(self.scripts))), "")
        return ask.Answer(0, PARTITION if "partition" in command else "", "")


def nodes(*states: str) -> str:
    return "".join(f"n{number}|batch*|{state}|1|4|4000|(null)\n" for number, state in enumerate(states))


def pilots_of(folder: Path, agent: FakeAgent, slurm: FakeSlurm, allowed: PilotLimits = LIMITS) -> Pilots:
    form = BatchRequest(name="", body="", directory="", output="")
    batch = BatchSystem(ask.Site(scheduler=SCHEDULERS["slurm"], run=slurm, pauses=()), form)
    file = PilotFile(
        session="", site="here", scheduler="slurm", starter="srun", python=sys.executable, wall_seconds=3600
    )
    limits = SiteLimits("here", (NODE,), allowed)
    return Pilots(cast("Agent", agent), batch, folder, lambda _: limits, file)


def waiting(count: int, wall_seconds: float = 0.0) -> Waiting:
    return Waiting(Grant(cores=1, ram=1), wall_seconds, 0.0, count)


def asked(slurm: FakeSlurm) -> list[tuple[str, str]]:
    return [
        (found[1], found[2]) for text in slurm.scripts if (found := re.search(r"--nodes=(\d+)\n.*--time=(\S+)", text))
    ]


def test_a_free_machine_gets_one_pilot_of_the_nodes_that_are_needed_in_the_first_step(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(waiting(10)), FakeSlurm(nodes("idle", "idle", "idle", "idle"))
    asyncio.run(pilots_of(tmp_path, agent, slurm).step())
    assert asked(slurm) == [("3", "01:00:00")]
    assert agent.notices == [
        "pilot 1: 3 nodes asked for: 4 nodes are free now for 3600 s; 3 jobs fill 100% of this part"
    ]


def test_what_is_coming_is_not_asked_for_again(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(waiting(10)), FakeSlurm(nodes("idle", "idle", "idle", "idle"))
    pilots = pilots_of(tmp_path, agent, slurm)

    async def twice() -> None:
        await pilots.step()
        await pilots.step()

    asyncio.run(twice())
    assert len(slurm.scripts) == 1
    assert slurm.asked.count("sinfo") == 1


def test_a_scheduler_that_does_not_tell_its_state_is_asked_for_pilots_all_the_same(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(waiting(100)), FakeSlurm(None)
    asyncio.run(pilots_of(tmp_path, agent, slurm).step())
    assert asked(slurm) == [("4", "01:00:00")]


def test_a_full_machine_lets_a_pilot_wait(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(waiting(4)), FakeSlurm(nodes(*["allocated"] * 4))
    asyncio.run(pilots_of(tmp_path, agent, slurm).step())
    assert len(slurm.scripts) == 1
    assert "a place in line" in agent.notices[0]


def test_nobody_is_asked_while_nothing_waits(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(), FakeSlurm(nodes("idle"))
    asyncio.run(pilots_of(tmp_path, agent, slurm).step())
    assert slurm.asked == []


def test_what_is_refused_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    agent, slurm = FakeAgent(waiting(16)), FakeSlurm(nodes(*["idle"] * 4), refuses=True)
    single = PilotLimits(pilots=4, nodes=4, nodes_per_pilot=1)
    asyncio.run(pilots_of(tmp_path, agent, slurm, single).step())
    assert len(slurm.scripts) == 1
    assert agent.notices[-1].startswith("failed: ")
    assert not list(tmp_path.iterdir())
