"""explain and report on runs in a store that is filled through its own interface, and on a real one."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec import Raw

from cwlbalsam.cli.guard import guarded
from cwlbalsam.cli.main import cli
from cwlbalsam.cwl.records import Field, Primitive, Program, Requirements, Resources, ToolProcess
from cwlbalsam.cwl.tasks import Invocation, Outcome
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.jobs.references import Const, Port, Tree, pack_trees
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.service.options import Asked, RunOptions
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.host import this_host

RUN = "0199e6a2-0001-7000-8000-000000000000"
encode = msgspec.msgpack.encode


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    return find_home()


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    made = open_store(home.path)
    yield made
    made.close()


def call(*arguments: str) -> Result:
    codes = []
    runner = CliRunner()
    with runner.isolation() as (out, err, _):
        codes.append(guarded(lambda: cli.main(list(arguments), prog_name="cwlbalsam", standalone_mode=False)))
        return Result(runner, out.getvalue(), err.getvalue(), b"", None, codes[0], None)


def program(cores: float) -> Program:
    inputs = tuple(Field(name=name, type=Primitive(name="Any")) for name in ("n", "f", "key"))
    needs = Requirements(resources=Resources(cores_min=cores), secrets=("key",))
    tool = ToolProcess(id="fit", version="v1.2", inputs=inputs, outputs=(), requirements=needs, place="/w/m.cwl:3:5")
    return Program(uri="x", main=0, processes=(tool,))


def fill(store: Store, home: Home, cores: float = 1, options: RunOptions | None = None) -> None:
    """Jobs: project[0] and project[1] feed, through a gather, fit, which feeds sum."""
    store.put_program("digest", encode(program(cores)))
    directory = home.run_directory(RUN)
    home.jobs_directory(RUN).mkdir(parents=True)

    def job(number: int, name: str, kind: str, trees: dict[str, Tree], state: State) -> BalsamJob:
        return BalsamJob(id=number, name=name, kind=kind, process=0, inputs=pack_trees(trees), state=state)  # type: ignore[arg-type]

    file = Raw(encode({"class": "File", "location": "file:///w/in%20put.fits"}))
    jobs = [
        job(0, "project[0]", "job", {}, State.READY),
        job(1, "project[1]", "job", {}, State.READY),
        job(2, "project", "gather", {"o": Port(0, "o")}, State.AWAITING_PARENTS),
        job(
            3,
            "fit",
            "job",
            {"n": Port(2, "o"), "f": Const(file), "key": Const(Raw(encode("hush")))},
            State.AWAITING_PARENTS,
        ),
        job(4, "sum", "job", {"n": Port(3, "o")}, State.AWAITING_PARENTS),
    ]
    run = RunRecord(
        id=RUN,
        name="m",
        document="/w/m.cwl",
        program="digest",
        created=time.time(),
        directory=str(directory),
        pid=os.getpid(),
        host=this_host().name,
        options=encode(Asked(options=options, compiling=CompileOptions())) if options else b"",
    )
    store.create_run(run, Changes(jobs, edges=[(0, 2), (1, 2), (2, 3), (3, 4)]))


def move(store: Store, job: int, state: State, outcome: Outcome | None = None, message: str = "") -> None:
    packed = encode(outcome) if outcome else None
    moves = [Move(job=job, state=state, time=5.0, attempt=1, outcome=packed, message=message)]
    store.apply(RUN, Changes(moves=moves))


def finish(store: Store, *jobs: int) -> None:
    for job in jobs:
        outputs = {"o": Raw(encode([1, 2]))}
        move(store, job, State.JOB_FINISHED, Outcome(job=job, ending="done", outputs=outputs) if job != 2 else None)


def test_a_waiting_job_names_what_is_unfinished_above_it(store: Store, home: Home) -> None:
    fill(store, home)
    finish(store, 0)
    shown = call("explain", RUN, "fit").stdout
    assert shown.startswith("fit waits\n  it waits for 'project': 1 READY\n")
    assert "it asks for 1 core, 256 MiB of memory, 2,048 MiB of space; the run has " in shown
    assert "n: (not made yet)" in shown


def test_a_job_that_the_machine_can_never_run_is_told_so(store: Store, home: Home) -> None:
    fill(store, home, cores=100_000)
    finish(store, 0, 1, 2)
    shown = call("explain", RUN, "3").stdout
    assert "it can never start here: the job asks for more than this machine has: 100000 cores" in shown
    assert "n: [1, 2]\n" in shown and 'f: "/w/in put.fits"' in shown
    assert "hush" not in shown and "key: (secret)" in shown


def test_the_options_of_the_run_say_what_it_may_take_of_the_machine(store: Store, home: Home) -> None:
    fill(store, home, cores=3, options=RunOptions(cores=2))
    shown = call("explain", RUN, "fit").stdout
    assert "the run has 2 cores" in shown
    assert "it can never start here: the job asks for more than this machine has: 3 cores (there are 2)" in shown


def test_a_job_is_told_to_run_only_when_its_directory_is_there(store: Store, home: Home) -> None:
    fill(store, home)
    move(store, 0, State.RUNNING)
    assert "starts as soon as the machine has room" in call("explain", RUN, "0").stdout
    (home.jobs_directory(RUN) / "0/0").mkdir(parents=True)
    assert "its command is being run" in call("explain", RUN).stdout  # the one that runs is the first to ask about


def test_the_failure_behind_a_job_that_never_ran_is_named(store: Store, home: Home) -> None:
    fill(store, home)
    finish(store, 0)
    move(store, 1, State.FAILED, Outcome(job=1, ending="failed", error="no such table\nat all", exit_code=-9))
    for job in (2, 3, 4):
        move(store, job, State.PARENT_KILLED, message="'x' failed")
    shown = call("explain", RUN, "sum").stdout
    assert shown.startswith("sum never ran\n  what it needs was never made: 'project[1]' failed\n")
    first = call("explain", RUN).stdout
    assert first.startswith("project[1] failed\n  no such table\n  at all\n  it was killed from outside")
    missing = call("explain", RUN, "nothing")
    assert (missing.exit_code, "error: no job 'nothing'" in missing.stderr) == (1, True)


def test_a_run_without_failures_has_nothing_to_explain(store: Store, home: Home) -> None:
    fill(store, home)
    finish(store, 0, 1, 2, 3, 4)
    assert "nothing has failed" in call("explain", RUN).stderr


def test_a_command_with_control_characters_never_reaches_the_terminal(store: Store, home: Home) -> None:
    fill(store, home)
    command = Invocation(argv=["printf", "a\x1b[2J"], cwd="/")
    move(store, 0, State.FAILED, Outcome(job=0, ending="failed", error="bad\x1b[2J", command=command))
    shown = call("explain", RUN).stdout
    assert "\x1b" not in shown and "explain 0199e6a2-0001 0 --command | sh" in shown
    assert "\x1b" in call("explain", RUN, "--command").stdout
    assert "no command line was kept" in call("explain", RUN, "1", "--command").stderr


TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'cat "$1" >&2; printf "%s in %s" "$V" "$PWD"; exit 5', x]
requirements: {EnvVarRequirement: {envDef: {V: "it's $(inputs.v)"}}}
inputs: {f: {type: File, inputBinding: {position: 1}}, v: string}
outputs: {o: stdout}
stdout: out.txt
"""


def test_what_explain_prints_does_the_same_again(home: Home, tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL)
    (tmp_path / "in put").write_text("no such table\n")
    arguments = [str(tmp_path / "tool.cwl"), "--f", str(tmp_path / "in put"), "--v", 'a"b\\c']
    failed = call("run", "--outdir", str(tmp_path / "out"), *arguments)
    assert failed.exit_code == 1
    assert "    | no such table" in failed.stderr and "more: cwlbalsam explain " in failed.stderr
    shown = call("explain", "0").stdout
    assert "exit code: 5" in shown and "    | no such table" in shown
    line = call("explain", "0", "--command").stdout
    assert line in shown
    again = subprocess.run(["sh", "-c", line], capture_output=True, check=False, env={})
    assert (again.returncode, again.stderr) == (5, b"no such table\n")
    assert "it's a\"b\\c in " in next(home.runs.glob("*/jobs/0/*/out.txt")).read_text()


GATHERED = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {n: 'int[]'}
outputs: {}
steps:
  twice:
    run: {class: ExpressionTool, inputs: {n: int}, outputs: {o: int}, expression: "${return {o: 2 * inputs.n}}"}
    scatter: n
    in: {n: n}
    out: [o]
  fit:
    run: {class: ExpressionTool, inputs: {n: Any}, outputs: {}, expression: "${return {}}"}
    in: {n: twice/o}
    out: []
"""


def test_what_a_scatter_gave_to_a_job_is_shown(home: Home, tmp_path: Path) -> None:
    (tmp_path / "flow.cwl").write_text(GATHERED)
    assert call("run", "--outdir", str(tmp_path), str(tmp_path / "flow.cwl"), "--n", "3", "--n", "4").exit_code == 0
    assert "    n: [6, 8]\n" in call("explain", "0", "fit").stdout


def test_report_writes_the_page_where_it_is_told(store: Store, home: Home, tmp_path: Path) -> None:
    fill(store, home)
    page = tmp_path / "page.html"
    assert call("report", RUN, "-o", str(page)).stderr == f"{page}\n"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert call("report", RUN, "-o", "-").stdout.startswith("<!DOCTYPE html>")
    refused = call("report", RUN, "-o", str(tmp_path / "none/page.html"))
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (1, True)
