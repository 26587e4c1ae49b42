import os
import signal
import time
from pathlib import Path

import pytest

from cwlbalsam.cwl.tasks import Outcome, Settings
from cwlbalsam.executor import worker
from cwlbalsam.executor.forkserver import fork_server, request_worker
from cwlbalsam.executor.frames import Inbox, Learn, Work, pack, unpack_outcomes
from tests.executor.fakes import (
    ONE_CORE,
    PROGRAM,
    Session,
    make_pool,
    make_task,
    prepare,
    run_pool,
    run_tasks,
    shell,
)


def run(folder: Path, *tasks: object) -> list[Outcome]:
    return run_tasks(make_pool(folder), *tasks)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def test_streams_go_where_the_command_says_and_the_rest_into_a_log(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    silent, caught = run(
        tmp_path,
        shell(1, tmp_path, "true"),
        shell(2, tmp_path, "cat; echo stray >&2", stdin=str(tmp_path / "in"), stdout=str(tmp_path / "out")),
    )
    assert (silent.ending, silent.log) == ("done", "")
    assert (tmp_path / "out").read_text() == "hello"
    assert caught.log == f"{tmp_path}/job-2.log"
    assert Path(caught.log).read_text() == "stray\n"


def test_both_streams_may_go_to_one_file(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run(tmp_path, shell(1, tmp_path, "echo a; echo b >&2; echo c", stdout=out, stderr=out))
    assert Path(out).read_text() == "a\nb\nc\n"


def test_a_job_without_stdin_reads_nothing(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, shell(1, tmp_path, 'test -z "$(cat)"'))
    assert outcome.ending == "done"


def test_an_outcome_says_what_the_command_used(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; dd if=/dev/zero of=x bs=1000 count=1000; exit 7"
    (outcome,) = run(tmp_path, shell(1, tmp_path, script))
    assert outcome.ending == "failed" and outcome.exit_code == 7
    assert "exit code 7" in outcome.error
    assert outcome.cpu_seconds > 0 and outcome.peak_memory_bytes > 1 << 20
    assert 1_000_000 <= outcome.written_bytes < 2_000_000 <= outcome.read_bytes + 1_000_000
    assert time.time() - 60 < outcome.started < outcome.ended <= time.time()


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ({"argv": ["no-such-command"]}, "command not found: no-such-command"),
        ({"argv": ["./no-such-file"]}, "command not found: ./no-such-file"),
        ({"argv": ["/etc/passwd"]}, "cannot start '/etc/passwd': Permission denied"),
        ({"argv": ["true"], "stdin": "/no/such/file"}, "cannot open stdin '/no/such/file': No such file"),
        ({"argv": ["true"], "stdout": "/no/such/file"}, "cannot open stdout '/no/such/file': No such file"),
        ({"argv": ["true", "a\0b"]}, "null"),
        ({"argv": ["true"], "cwd": "/no/such/folder"}, "working directory is missing: /no/such/folder"),
        ({"argv": ["true", "x" * 5_000_000]}, "too long for this system"),
        ({"error": "input 'x' is bad"}, "input 'x' is bad"),
    ],
)
def test_a_job_that_cannot_start_says_why(tmp_path: Path, do: dict[str, object], message: str) -> None:
    (outcome,) = run(tmp_path, make_task(1, tmp_path, **do))
    assert outcome.ending == "failed" and not outcome.bug
    assert message in outcome.error


def test_the_command_is_found_on_the_jobs_own_path(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text(f"#!/bin/sh\nexit {ord(folder)}\n")
        (tmp_path / folder / "tool").chmod(0o755)
    tasks = [
        make_task(number, tmp_path, argv=["tool"], environment={"PATH": str(tmp_path / folder)})
        for number, folder in enumerate("aba")
    ]
    assert [outcome.exit_code for outcome in run(tmp_path, *tasks)] == [97, 98, 97]


def test_our_own_mistake_fails_the_job_as_a_bug_and_the_worker_goes_on(tmp_path: Path) -> None:
    crashed, fine = run(tmp_path, make_task(1, tmp_path, crash="oops"), shell(2, tmp_path, "true"))
    assert crashed.bug and crashed.ending == "failed" and "RuntimeError: oops" in crashed.error
    assert fine.ending == "done"


def test_a_job_that_needs_no_command_is_answered_at_once(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, make_task(1, tmp_path, outputs={"x": [1, None]}))
    assert outcome.ending == "done" and bytes(outcome.outputs["x"]) == b"\x92\x01\xc0"


def test_a_busy_worker_speaks_when_half_of_its_tasks_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FLUSH_SECONDS", 3600.0)
    server, pid = fork_server(lambda there, _: worker.work(there, Settings(), str(tmp_path / "w"), prepare))
    with server, request_worker(server, 1) as connection:
        tasks = [shell(job, tmp_path, "true") for job in range(8)]
        connection.sendall(pack(Learn("digest", PROGRAM)) + pack(Work(tasks, [(ONE_CORE, 1)])))
        inbox, heard = Inbox(), list[int]()
        while sum(heard) < len(tasks):
            heard += [len(unpack_outcomes(body)) for body in inbox.feed(connection.recv(1 << 18))]
    os.waitpid(pid, 0)
    assert heard == [4, 2, 1, 1]


def test_every_job_finds_an_empty_temporary_folder(tmp_path: Path) -> None:
    check = 'test -z "$(ls -A $TMPDIR)" && test ! -L $TMPDIR && '
    spoils = ["touch $TMPDIR/x", "rmdir $TMPDIR; ln -s / $TMPDIR", "rmdir $TMPDIR", "chmod 0 $TMPDIR", "true"]

    async def one_after_the_other(session: Session) -> None:
        for number, spoil in enumerate(spoils):
            session.pool.submit([shell(number, tmp_path, check + spoil)])
            await session.results(number)

    outcomes = run_pool(make_pool(tmp_path), one_after_the_other)
    assert [outcome.ending for outcome in outcomes.values()] == ["done"] * len(spoils)
    assert not list(tmp_path.glob("cwlbalsam-*"))


def test_what_a_command_leaves_running_in_its_group_is_killed(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, shell(1, tmp_path, "sleep 60 & echo $!"))
    assert outcome.ending == "done"
    assert gone(int(Path(outcome.log).read_text()))


def test_a_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, shell(1, tmp_path, "sleep 60 & echo $!; wait", time_limit=0.2))
    assert outcome.ending == "timeout" and "time limit of 0.2 seconds" in outcome.error
    assert outcome.ended - outcome.started < 5
    assert gone(int(Path(outcome.log).read_text()))


def test_a_job_that_ignores_the_first_signal_is_killed_by_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cwlbalsam.executor.workbench.GRACE_SECONDS", 0.3)
    (outcome,) = run(tmp_path, shell(1, tmp_path, "trap '' TERM; sleep 60; sleep 60", time_limit=0.2))
    assert outcome.ending == "timeout" and outcome.exit_code == -signal.SIGKILL


def test_jobs_get_default_signals_and_their_own_group(tmp_path: Path) -> None:
    script = "grep -E '^Sig(Ign|Blk)' /proc/self/status; ps -o pgid= -p $$; echo $$"
    (outcome,) = run(tmp_path, shell(1, tmp_path, script))
    blocked, ignored, group, pid = Path(outcome.log).read_text().split("\n")[:4]
    assert all(int(line.split()[1], 16) & 0x7FFF_FFFF == 0 for line in (blocked, ignored))  # 32 and 33 are libc's own
    assert int(group) == int(pid) != os.getpgrp()
