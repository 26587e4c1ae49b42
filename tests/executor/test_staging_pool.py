"""Which task goes where, and under which paths, with pools that only remember."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.places import HERE
from cwlbalsam.cwl.records import ExpressionProcess, Field, Primitive, Program, ToolProcess
from cwlbalsam.cwl.tasks import Grant, Outcome, Task
from cwlbalsam.executor.messages import Opened
from cwlbalsam.executor.staging_pool import Place, StagingPool
from cwlbalsam.executor.wanted import TransferFailed, Wanted, expected_replica
from cwlbalsam.executor.whereabouts import StagingArea, Whereabouts
from cwlbalsam.jobs.replicas import Catalogue, Replica
from cwlbalsam.sites.transfers.base import Endpoint, Trouble

ANY = (Field(name="in", type=Primitive(name="Any")),)
TOOL = ToolProcess(id="tool", version="v1.2", inputs=ANY, outputs=())
EXPRESSION = ExpressionProcess(id="expression", version="v1.2", inputs=ANY, outputs=(), expression="")
PROGRAM = Program(uri="test", main=0, processes=(TOOL, EXPRESSION), digest="digest")
MADE_FAR = "site://far/work/runs/r/jobs/0/1/made"


class RememberingPool:
    """Answers each task with its inputs as outputs."""

    def __init__(self) -> None:
        self.opened = Opened(directory="/work/runs/r", work="/work")
        self.tasks: list[Task] = []
        self.programs: list[bytes] = []

    async def open(self, on_outcomes: Callable[[list[Outcome]], None], on_started: Callable[[list[int]], None]) -> None:
        self.on_outcomes = on_outcomes

    def learn(self, digest: str, program: bytes) -> None:
        self.programs.append(program)

    def submit(self, tasks: Sequence[Task]) -> None:
        self.tasks += tasks
        outcomes = [Outcome(job=task.job, ending="done", outputs=dict(task.inputs)) for task in tasks]
        asyncio.get_running_loop().call_soon(self.on_outcomes, outcomes)

    async def close(self, kill: bool = False, clean: bool = False) -> None:
        pass


class RememberingMover:
    """Brings nothing. lost: what no site has any more."""

    def __init__(self, lost: Sequence[str] = ()) -> None:
        self.lost = lost
        self.asked: list[Wanted] = []

    async def bring(self, wanted: Sequence[Wanted]) -> list[Replica | TransferFailed]:
        self.asked += wanted
        return [
            TransferFailed(one, Trouble.MISSING, "gone") if one.file in self.lost else expected_replica(one)
            for one in wanted
        ]

    async def close(self) -> None:
        pass


class Scene:
    """This machine; the site `seen`, which shares its files; the site `far`, which does not."""

    def __init__(self, folder: Path, *, lost: Sequence[str] = ()) -> None:
        self.folder = folder
        self.mover: Any = RememberingMover(lost)
        self.home: Any = RememberingPool()
        self.seen: Any = RememberingPool()
        self.far: Any = RememberingPool()

    def run(self, site: str, location: str, process: int = 0) -> Outcome:
        """The outcome of one task that reads a file."""
        return asyncio.run(self._run(site, location, process))

    async def _run(self, site: str, location: str, process: int) -> Outcome:
        places = {"seen": Place("seen", self.seen, shares=True), "far": Place("far", self.far, shares=False)}
        pool = StagingPool(self.home, places, PROGRAM, choose=lambda _: site, opening=self._opening)
        answer = asyncio.get_running_loop().create_future()
        await pool.open(lambda outcomes: answer.set_result(outcomes[0]))
        value = {"class": "File", "location": location, "size": 1}
        task = Task(
            job=1,
            program="digest",
            process=process,
            inputs={"in": Raw(msgspec.msgpack.encode(value))},
            directory=str(self.folder / "jobs/1"),
            grant=Grant(cores=1, ram=1, tmpdir=0, outdir=0),
        )
        pool.submit([task])
        outcome: Outcome = await asyncio.wait_for(answer, 10)
        await pool.close()
        return outcome

    async def _opening(self, places: Mapping[str, Place]) -> Whereabouts:
        areas = {
            HERE: StagingArea(Endpoint(site="local", root=str(self.folder), local=True), str(self.folder)),
            "far": StagingArea(Endpoint(site="far", root="/work"), "/work/runs/r"),
        }
        return Whereabouts(areas, Catalogue(), self.mover)


def location_in(values: Mapping[str, Raw]) -> str:
    (raw,) = values.values()
    return str(msgspec.msgpack.decode(raw)["location"])


def test_what_a_site_has_made_is_read_there_under_its_own_path(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    outcome = scene.run("far", MADE_FAR)
    (task,) = scene.far.tasks
    assert location_in(task.inputs) == "file:///work/runs/r/jobs/0/1/made"
    assert task.directory.startswith("/work/runs/r/jobs/")
    assert (location_in(outcome.outputs), outcome.site) == (MADE_FAR, "far")
    assert not scene.mover.asked


def test_a_site_that_shares_files_here_reads_under_paths_of_here(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    outcome = scene.run("seen", MADE_FAR)
    assert outcome.ending == "done", outcome.error
    (task,), (wanted,) = scene.seen.tasks, scene.mover.asked
    assert location_in(task.inputs) == f"file://{wanted.path}"
    assert (wanted.site, wanted.path.startswith(f"{tmp_path}/")) == ("local", True)
    assert task.directory == str(tmp_path / "jobs/1")
    assert (location_in(outcome.outputs), outcome.site) == (MADE_FAR, "seen")


def test_files_of_here_reach_a_site_that_shares_them_as_they_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.run("seen", f"file://{tmp_path}/data")
    assert location_in(scene.seen.tasks[0].inputs) == f"file://{tmp_path}/data"
    assert not scene.mover.asked


def test_an_expression_is_evaluated_where_its_files_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.run("seen", MADE_FAR, process=1)
    assert (len(scene.far.tasks), len(scene.seen.tasks), len(scene.home.tasks)) == (1, 0, 0)


def test_a_task_whose_file_is_gone_names_it(tmp_path: Path) -> None:
    outcome = Scene(tmp_path, lost=[MADE_FAR]).run("", MADE_FAR)
    assert (outcome.ending, outcome.missing, outcome.bug) == ("failed", (MADE_FAR,), False)
