from typing import Any

from cwlbalsam.cwl.tasks import Grant, Outcome, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.crew import Crew
from cwlbalsam.executor.dispatch import Dispatcher, Node


class Link:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)


def test_a_job_that_no_launch_command_can_start_fails_alone() -> None:
    outcomes: list[Outcome] = []

    def launching(task: Task) -> Task:
        if task.job == 1:
            raise UserError("not on these nodes")
        return task

    def take(found: list[Outcome]) -> None:
        outcomes.extend(found)

    node = Node(Capacity(Machine(cores=4, ram=1024, tmpdir=1024)), "n1")
    programs: Any = {"p": b""}
    crew = Crew(Dispatcher(), programs.__getitem__, take, lambda _: None, launching)
    link = Link()
    crew.join(0, link, node)
    asked = Grant(cores=1, ram=1, tmpdir=0, outdir=0, ranks=2)
    crew.submit([Task(job=job, program="p", process=0, inputs={}, directory="", grant=asked) for job in (1, 2)])
    crew.turn()
    assert [(outcome.job, outcome.ending, outcome.error) for outcome in outcomes] == [
        (1, "failed", "not on these nodes")
    ]
    assert len(crew) == 1
    crew.heard([Outcome(job=2, ending="done")])
    assert node.capacity is not None
    assert node.capacity.is_idle
