import asyncio
import time

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.executor import machine_watch
from cwlbalsam.executor.machine_watch import MachineWatch
from cwlbalsam.jobs.batch import MachineState


def state(age: float = 0.0, free: int = 1) -> MachineState:
    return MachineState(time=time.time() - age, nodes=4, free=free)


class Scheduler:
    def __init__(self, *answers: MachineState | UserError, seconds: float = 0.0) -> None:
        self.answers, self.seconds, self.asked = list(answers), seconds, 0

    async def __call__(self) -> MachineState:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, UserError):
            raise answer
        return answer


def test_it_is_asked_once_in_a_while() -> None:
    async def scenario() -> None:
        scheduler = Scheduler(state(free=3))
        watch = MachineWatch(scheduler)
        assert watch.told is None
        for _ in range(3):
            seen = await watch.look()
            assert seen is not None and seen.free == 3
        assert scheduler.asked == 1

    asyncio.run(scenario())


def test_what_was_told_at_the_start_counts() -> None:
    async def scenario() -> None:
        scheduler = Scheduler()
        assert await MachineWatch(scheduler, state()).look() is not None
        assert scheduler.asked == 0

    asyncio.run(scenario())


def test_an_error_leaves_what_is_known_until_it_is_stale() -> None:
    async def scenario() -> None:
        scheduler = Scheduler(UserError("it is down"), UserError("it is down"))
        assert await MachineWatch(scheduler, state(age=30)).look() is not None
        assert await MachineWatch(scheduler, state(age=300)).look() is None
        assert scheduler.asked == 2

    asyncio.run(scenario())


def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_watch, "PATIENCE_SECONDS", 0.01)

    async def scenario() -> None:
        scheduler = Scheduler(state(), seconds=0.2)
        watch = MachineWatch(scheduler)
        assert await watch.look() is None
        monkeypatch.setattr(machine_watch, "PATIENCE_SECONDS", 5)
        assert await watch.look() is not None
        assert scheduler.asked == 1

    asyncio.run(scenario())
