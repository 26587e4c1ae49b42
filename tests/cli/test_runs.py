"""ls, show, logs, kill and rm on a store that is filled through its own interface."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cwlbalsam.cli.guard import guarded
from cwlbalsam.cli.main import cli
from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.host import this_host

DONE = "0199e6a2-0001-7000-8000-000000000000"
FAILED = "0199e6a2-0002-7000-8000-000000000000"
RUNNING = "0199e6a2-0003-7000-8000-000000000000"
NOBODY = 2**22 + 1  # above the largest process number of Linux


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path))
    return find_home()


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    made = open_store(home.path)
    made.put_program("digest", b"")
    yield made
    made.close()


def add_run(
    store: Store,
    home: Home,
    run_id: str,
    pid: int = NOBODY,
    host: str = "",
    created: float = 0.0,
    at: Path | None = None,
    document: str = "/w/mosaic.cwl",
    name: str = "mosaic",
) -> None:
    directory = at or home.run_directory(run_id)
    (directory / "jobs").mkdir(parents=True)
    record = RunRecord(
        id=run_id,
        name=name,
        document=document,
        program="digest",
        created=created or time.time(),
        directory=str(directory),
        outdir="/w/out",
        inputs=msgspec.msgpack.encode({"n": 3}),
        pid=pid,
        host=host or this_host().name,
    )
    names = ["project[0]", "project[1]", "fit", "maybe"]
    jobs = [BalsamJob(id=i, name=name, kind="job", process=1, state=State.READY) for i, name in enumerate(names, 1)]
    root = BalsamJob(id=0, name="", kind="bind", process=0, state=State.READY)
    store.create_run(record, Changes([root, *jobs]))


def end(store: Store, run_id: str, job: int, state: State, outcome: Outcome) -> None:
    packed = msgspec.msgpack.encode(outcome)
    store.apply(run_id, Changes(moves=[Move(job=job, state=state, time=5.0, attempt=1, outcome=packed)]))


def fill(store: Store, home: Home) -> None:
    add_run(store, home, DONE)
    store.finish_run(DONE, "finished", outputs=msgspec.msgpack.encode({"o": 1}), ended=time.time())
    add_run(store, home, FAILED)
    log = home.run_directory(FAILED) / "fit.log"
    log.write_bytes(b"no such table\xff\n")
    used = {"started": 1.0, "ended": 3.5, "cpu_seconds": 2.0, "peak_memory_bytes": 3 << 20}
    end(store, FAILED, 1, State.JOB_FINISHED, Outcome(job=1, ending="done", **used))
    end(store, FAILED, 2, State.JOB_FINISHED, Outcome(job=2, ending="done", **used))
    broken = Outcome(job=3, ending="failed", error="fit failed\nbadly", exit_code=4, log=str(log), **used)
    end(store, FAILED, 3, State.FAILED, broken)
    end(store, FAILED, 4, State.JOB_FINISHED, Outcome(job=4, ending="skipped"))
    store.finish_run(FAILED, "failed", message="fit failed", ended=time.time())


def call(*arguments: str) -> Result:
    codes = []
    runner = CliRunner()
    with runner.isolation() as (out, err, _):
        codes.append(guarded(lambda: cli.main(list(arguments), prog_name="cwlbalsam", standalone_mode=False)))
        return Result(runner, out.getvalue(), err.getvalue(), b"", None, codes[0], None)


def test_ls_shows_the_newest_run_first(store: Store, home: Home) -> None:
    fill(store, home)
    lines = call("ls").stdout.splitlines()
    assert lines[0].split() == ["RUN", "NAME", "STATUS", "STARTED", "JOBS", "TIME"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["0199e6a2-0002", "mosaic", "failed"],
        ["0199e6a2-0001", "mosaic", "finished"],
    ]
    assert " 3/4 " in lines[1]
    assert [run["id"] for run in json.loads(call("ls", "--json", "--status", "finished").stdout)] == [DONE]
    assert len(call("ls", "-n", "1").stdout.splitlines()) == 2


def test_ls_without_runs_says_so_and_prints_nothing(home: Home) -> None:
    result = call("ls")
    assert (result.stdout, result.stderr, result.exit_code) == ("", "no runs\n", 0)


def test_ls_tells_a_run_whose_process_is_gone_from_one_that_runs(store: Store, home: Home) -> None:
    add_run(store, home, DONE)
    add_run(store, home, FAILED, pid=os.getpid())
    add_run(store, home, RUNNING, pid=os.getpid(), created=1.0)  # this process is younger: it only has the number
    statuses = {run["id"]: run["status"] for run in json.loads(call("ls", "--json").stdout)}
    assert statuses == {DONE: "lost", FAILED: "running", RUNNING: "lost"}
    assert [run["id"] for run in json.loads(call("ls", "--json", "--status", "running").stdout)] == [FAILED]


def test_show_counts_the_jobs_of_each_step(store: Store, home: Home) -> None:
    fill(store, home)
    shown = call("show", "0199e6a2-0002").stdout
    assert "jobs:     3 of 4 done, 1 failed\n" in shown
    assert [line.split() for line in shown.splitlines()[-3:]] == [
        ["project", "2/2", "2.5s", "2.5s", "4.0s", "3.0", "MiB"],
        ["fit", "0/1", "1", "2.5s", "2.5s", "2.0s", "3.0", "MiB"],
        ["maybe", "0/1", "1"],
    ]
    jobs = call("show", FAILED, "--jobs").stdout.splitlines()[-4:]
    assert jobs[0].split()[:4] == ["3", "fit", "FAILED", "1"]
    assert jobs[0].endswith("fit failed")
    assert "failed:   fit: fit failed\n          `cwlbalsam explain 0199e6a2-0002 3`" in shown
    assert "SKIPPED" in jobs[3]


def test_show_as_json_has_inputs_outputs_and_steps(store: Store, home: Home) -> None:
    fill(store, home)
    shown = json.loads(call("show", DONE, "--json").stdout)
    assert (shown["inputs"], shown["outputs"], shown["steps"][0]["name"]) == ({"n": 3}, {"o": 1}, "project")
    shown = json.loads(call("show", FAILED, "--json", "--jobs").stdout)
    first = shown["jobs"][0]
    assert (first["name"], first["state"]) == ("fit", "FAILED")


def test_names_from_documents_cannot_command_the_terminal(store: Store, home: Home) -> None:
    add_run(store, home, DONE)
    evil = BalsamJob(id=9, name="a\x1b[2Jb\nc", kind="job", process=0)
    store.apply(DONE, Changes(jobs=[evil]))
    for arguments in (["show", DONE], ["show", DONE, "--jobs"], ["logs", DONE, "9"]):
        result = call(*arguments)
        assert "a [2Jb c" in result.stdout + result.stderr
        assert "\x1b" not in result.stdout + result.stderr


def test_logs_print_what_failed_jobs_printed_byte_by_byte(store: Store, home: Home) -> None:
    fill(store, home)
    result = call("logs", FAILED)
    assert result.stdout_bytes == b"no such table\xff\n"
    assert result.stderr == "==> fit (FAILED, exit code 4)\nfit failed\nbadly\n"
    assert call("logs", FAILED, "project[1]").stderr == "==> project[1] (JOB_FINISHED)\n"
    assert call("logs", FAILED, "project*").stderr.count("==>") == 2
    assert "no job has failed" in call("logs", DONE).stderr
    missing = call("logs", FAILED, "nothing")
    assert (missing.exit_code, "error: no job 'nothing'" in missing.stderr) == (1, True)


def test_kill_interrupts_the_process_of_the_run(store: Store, home: Home) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        add_run(store, home, RUNNING, pid=process.pid, created=time.time())
        result = call("kill", "0199")
        assert result.stderr == "0199e6a2-0003 killed\n"
        assert process.wait() == -signal.SIGTERM
    assert store.run(RUNNING).status == "killed"
    again = call("kill", RUNNING)
    assert (again.exit_code, again.stderr) == (1, "error: run 0199e6a2-0003 is not running: it is killed\n")


def test_kill_fails_if_the_run_goes_on(store: Store, home: Home) -> None:
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo; exec sleep 60"], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        add_run(store, home, RUNNING, pid=process.pid, created=time.time())
        result = call("kill", "--wait", "0.1", RUNNING)
        process.kill()
    assert (result.exit_code, result.stderr) == (1, "0199e6a2-0003 still ends its jobs after 0.1 s\n")
    assert store.run(RUNNING).status == "running"


def test_kill_marks_a_lost_run_and_leaves_its_processs_successor_alone(store: Store, home: Home) -> None:
    add_run(store, home, RUNNING, pid=os.getpid(), created=1.0)
    assert call("kill", RUNNING).exit_code == 0
    assert store.run(RUNNING).message == f"process {os.getpid()} was gone"


def test_kill_refuses_a_run_on_another_host(store: Store, home: Home) -> None:
    add_run(store, home, RUNNING, pid=os.getpid(), host="login2")
    result = call("kill", RUNNING)
    assert (result.exit_code, "runs on host 'login2'" in result.stderr) == (1, True)
    assert call("rm", RUNNING).exit_code == 1
    assert call("rm", RUNNING, "--force").exit_code == 0  # the host may be gone for good


def test_rm_removes_the_record_and_the_folder_but_nothing_behind_a_link(
    store: Store, home: Home, tmp_path: Path
) -> None:
    fill(store, home)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    locked = home.jobs_directory(DONE) / "locked"
    locked.mkdir()
    (locked / "file").touch()
    (locked / "link").symlink_to(precious)
    locked.chmod(0o500)
    assert call("rm", DONE).stderr == "0199e6a2-0001 removed\n"
    assert [run.id for run in store.runs()] == [FAILED]
    assert not home.run_directory(DONE).exists()
    assert (precious / "file").exists()


def test_rm_never_follows_a_run_folder_that_is_a_link(store: Store, home: Home, tmp_path: Path) -> None:
    fill(store, home)
    moved = tmp_path / "elsewhere"
    home.run_directory(DONE).rename(moved)
    home.run_directory(DONE).symlink_to(moved)
    assert call("rm", DONE).exit_code == 0
    assert moved.exists()


def test_a_queue_is_told_from_a_workflow(store: Store, home: Home) -> None:
    add_run(store, home, DONE, document="cwlbalsam://queue/cluster", name="cluster")
    assert "0199e6a2-0001  qsub at cluster  " in call("ls").stdout
    assert "name:     qsub at cluster\n" in call("show", DONE).stdout


def test_rm_removes_the_folder_that_a_run_has_in_the_work_directory_of_a_site(
    store: Store, home: Home, tmp_path: Path
) -> None:
    add_run(store, home, DONE, at=tmp_path / "work/runs" / DONE)
    add_run(store, home, FAILED, at=tmp_path / "work/mine")
    assert call("rm", DONE, FAILED).exit_code == 0
    assert list(tmp_path.glob("work/**/jobs")) == [tmp_path / "work/mine/jobs"]  # who knows what else is there


def test_rm_refuses_a_running_run_unless_forced(store: Store, home: Home) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        add_run(store, home, RUNNING, pid=process.pid, created=time.time())
        result = call("rm", RUNNING)
        assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "error: run 0199e6a2-0003 is running")
        assert call("rm", RUNNING, "--force").exit_code == 0
        process.wait()
    assert store.runs() == []


def test_rm_chooses_runs_by_status_and_age(store: Store, home: Home) -> None:
    fill(store, home)
    add_run(store, home, RUNNING, pid=os.getpid())
    assert call("rm", "--older-than", "1h").stderr == ""
    assert call("rm", "--all-finished").stderr == "0199e6a2-0001 removed\n"
    assert call("rm", "--older-than", "0s").stderr == "0199e6a2-0002 removed\n"
    assert [run.id for run in store.runs()] == [RUNNING]
    assert call("rm").exit_code == call("rm", "--older-than", "soon").exit_code == 2
