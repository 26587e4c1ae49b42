"""Following a plan: sites of jobs, and plans that are made anew, on a clock that the test sets."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from cwlbalsam.cwl.records import Field, Link, Primitive, Program, Source, Step, ToolProcess, WorkflowProcess
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.events import Event, JobEnded, JobsAdded, JobStarted, PlanEnded, PlanMade, RunEnded, RunStarted
from cwlbalsam.planner.chance import makespan_interval
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.models.book import Book, Page
from cwlbalsam.planner.models.observation import Observation, Setting
from cwlbalsam.planner.schedule import make_plan
from cwlbalsam.service.expected import Terms, expect
from cwlbalsam.service.following import Follower
from cwlbalsam.service.kept_plan import read_plan
from cwlbalsam.service.learned import Learned
from cwlbalsam.service.planning import Planned
from cwlbalsam.service.room import here

ANY = Primitive(name="Any")
TOOL = ToolProcess(id="tool", version="v1.2", inputs=(Field(name="x", type=ANY),), outputs=(), digest="t")
SECONDS = 10.0


def step(name: str, source: str, *scatter: str) -> Step:
    above, _, port = source.rpartition("/")
    link = Link(name="x", sources=(Source(step=above, port=port),))
    return Step(name=name, run=0, inputs=(link,), outputs=("out",), version="v1.2", scatter=scatter)


FLOW = WorkflowProcess(
    id="w",
    version="v1.2",
    inputs=(Field(name="x", type=ANY),),
    outputs=(),
    links=(Link(name="out", sources=(Source(step="end", port="out"),)),),
    steps=(step("make", "x"), step("each", "make/out", "x"), step("end", "each/out")),
)
PROGRAM = Program(uri="", main=1, processes=(TOOL, FLOW))


class Run:
    """A follower on its way. Two sites of one core, jobs of ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.first = ""  # where the job that ran alone was
        self.events: list[Event] = []
        machine = Machine(cores=1, ram=4096, tmpdir=1 << 20)
        observations = tuple(
            Observation(setting=Setting(site=site), wall_seconds=SECONDS) for site in ("local", "far") for _ in range(3)
        )
        estimates = Learned(Book(pages=(Page(key="t", observations=observations),)))
        terms = Terms(grounds=[here(machine), replace(here(machine), name="far", seen=False)], estimates=estimates)
        problem = expect(PROGRAM, {"x": 1}, terms).problem
        plan = make_plan(problem, Effort(evaluations=1000))
        planned = Planned(problem, plan, makespan_interval(problem, plan), [], terms, estimates, {})
        self.follower = Follower(PROGRAM, {"x": 1}, planned, self, clock=lambda: self.now)
        self.tell(RunStarted("run", "w"), JobsAdded(1, {"make": 1}))

    def report(self, event: Event) -> None:
        self.events.append(event)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.follower.report(event)

    def send(self, *names: str) -> list[str]:
        inputs = {"x": Raw(msgspec.msgpack.encode(1))}
        tasks = [Task(job=0, program="", process=0, inputs=inputs, directory="", name=name) for name in names]
        return [self.follower.site_of(task) for task in tasks]

    def run(self, name: str, seconds: float) -> str:
        """The site of a job that takes so long, alone."""
        site = self.first = self.send(name)[0]
        self.tell(JobStarted(name, 0))
        self.now += seconds
        self.tell(JobEnded(name, 0, "done", seconds=seconds))
        return site

    @property
    def plans(self) -> list[PlanMade]:
        return [event for event in self.events if isinstance(event, PlanMade)]


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_scatter_is_planned_again_when_its_number_is_known(run: Run) -> None:
    assert sum(run.plans[0].jobs.values()) == 12  # ten are guessed
    run.run("make", SECONDS)
    run.tell(JobsAdded(4, {"each": 4}))
    sites = run.send(*(f"each[{number}]" for number in range(4)))
    assert sorted(sites) == ["far", "far", "local", "local"]
    assert [plan.why for plan in run.plans[1:]] == ["step 'each' has 4 jobs, not 10"]
    assert sum(run.plans[-1].jobs.values()) == 6
    assert run.plans[-1].seconds == pytest.approx(4 * SECONDS, rel=0.1)


def test_a_run_that_keeps_to_its_plan_is_not_planned_again(run: Run) -> None:
    run.run("make", SECONDS * 1.1)
    assert len(run.plans) == 1


def test_a_run_that_is_behind_is_planned_again_with_what_was_seen(run: Run) -> None:
    run.run("make", 3 * SECONDS)
    (again,) = run.plans[1:]
    assert again.why == "'make' ended 20.0 s later than planned"
    assert again.seconds > run.plans[0].seconds + 2 * SECONDS


def test_at_the_end_what_was_predicted_stands_beside_what_came(run: Run) -> None:
    run.tell(RunEnded("run", "finished", 75.0))
    ended = run.events[-1]
    assert isinstance(ended, PlanEnded)
    assert (ended.taken, ended.seconds) == (75.0, pytest.approx(7 * SECONDS, rel=0.1))
    assert ended.low < ended.seconds < ended.high
    run.tell(RunEnded("run", "failed", 80.0))
    assert isinstance(run.events[-1], RunEnded)


def test_how_long_a_site_takes_to_start_counts_from_what_is_sent_there(run: Run, tmp_path: Path) -> None:
    run.follower.folder = tmp_path
    run.now = 2.0  # sites have answered
    run.run("make", SECONDS)
    run.tell(JobsAdded(4, {"each": 4}))
    sites = dict(zip(names := [f"each[{number}]" for number in range(4)], run.send(*names), strict=True))
    run.now += 5.0
    run.tell(*(JobStarted(name, 0) for name in names), RunEnded("run", "finished", 50.0))
    plan = read_plan(tmp_path)
    assert plan is not None
    (other,) = set(sites.values()) - {run.first}
    assert plan.starts == {run.first: 2.0, other: 7.0}
    assert plan.taken == 50.0
