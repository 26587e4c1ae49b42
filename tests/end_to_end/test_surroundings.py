"""What is around a run fails: disks, folders, engines, interrupts, ourselves."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cli.main import run_cli
from tests.conftest import IN_CI
from tests.end_to_end.workplace import Workplace

TOOL = """
cwlVersion: v1.2
class: CommandLineTool
inputs: {}
baseCommand: [sh, -c, SCRIPT]
outputs: {out: {type: File, outputBinding: {glob: out.txt}}}
"""


def tool(place: Workplace, script: str, more: str = "") -> Path:
    return place.write("tool.cwl", TOOL.replace("SCRIPT", f'"{script}"') + more)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        if IN_CI and os.geteuid() == 0:
            pytest.fail(f"a small disk cannot be mounted: {mounted.stderr!r}")
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_under_a_job_is_told(place: Workplace, small_disk: Path) -> None:
    resources = "requirements: {ResourceRequirement: {tmpdirMin: 0, outdirMin: 0}}\n"
    path = tool(place, "head -c 4000000 /dev/zero > out.txt", resources)
    called = place.call("--tmpdir-prefix", f"{small_disk}/job", path)
    assert called.code == 1
    assert "No space left on device" in called.err and "Traceback" not in called.err


def test_a_full_disk_under_the_outputs_is_told(place: Workplace, small_disk: Path) -> None:
    path = tool(place, "head -c 4000000 /dev/zero > out.txt")
    called = place.call("--outdir", small_disk / "out", path)
    assert (called.code, called.out) == (1, "")
    assert "No space left on device" in called.err and "Traceback" not in called.err


def test_a_full_disk_under_the_home_is_told(
    place: Workplace, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = small_disk / "home"
    home.mkdir()
    filler = os.open(small_disk / "filler", os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, b"x" * 4096)
    os.close(filler)
    called = place.call("--home", home, tool(place, "echo > out.txt"))
    assert (called.code, called.out) == (1, ""), called.err
    assert "Traceback" not in called.err
    assert "full" in called.err or "No space left" in called.err


def test_an_output_directory_that_cannot_be_made_is_told_before_anything_runs(place: Workplace) -> None:
    path = tool(place, f"echo > {place.folder}/ran; echo > out.txt")
    place.write("file", "")
    called = place.call("--outdir", place.folder / "file" / "out", path)
    assert (called.code, called.out) == (1, "")
    assert len(called.errors) == 1
    assert f"--outdir {place.folder}/file/out cannot be made" in called.errors[0]
    assert not (place.folder / "ran").exists()


def test_a_missing_container_engine_is_told_before_anything_runs(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tool(place, "echo > out.txt", "requirements: {DockerRequirement: {dockerPull: 'alpine'}}\n")
    monkeypatch.setenv("PATH", str(place.folder / "nothing"))
    called = place.start("--outdir", place.out, path)
    assert (called.code, called.out) == (1, ""), called.err
    assert len(called.errors) == 1
    assert "no container engine" in called.errors[0]
    assert "podman" in called.err


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("numbers", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=["twice", "terminated"])
def test_an_interrupted_run_ends_its_commands_and_keeps_its_state(
    place: Workplace, numbers: list[signal.Signals]
) -> None:
    pids = place.folder / "pids"
    path = tool(place, f"sleep 60 & echo $$ $! > {pids}; wait")
    process = subprocess.Popen(
        place.command("--outdir", place.out, path),
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (pids.exists() and pids.read_text().endswith("\n")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    started = [int(word) for word in pids.read_text().split()]
    assert all(map(is_alive, started))
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.3)  # the first Ctrl-C lets what runs end; two at once are one
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, "Traceback" in err) == ("", False)
    assert not any(map(is_alive, started))
    place.capture.readouterr()
    assert run_cli(["ls"]) == 0
    assert ("interrupted" if len(numbers) > 1 else "killed") in place.capture.readouterr().out
    assert ("Ctrl-C again ends them now" in err) == (len(numbers) > 1)


def test_a_bug_in_a_worker_ends_in_3(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("worker")

    monkeypatch.setattr("cwlbalsam.cwl.execution.prepare", broken)
    called = place.call(tool(place, "echo > out.txt"))
    assert called.code == 3
    assert "ZeroDivisionError: worker" in called.err


def test_a_bug_in_the_coordinator_ends_in_3_and_leaves_its_traceback_in_a_file(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("store")

    monkeypatch.setattr("cwlbalsam.store.sqlite.SqliteStore.apply", broken)
    called = place.call(tool(place, "echo > out.txt"))
    assert (called.code, called.out) == (3, "")
    assert "this is a bug in cwlbalsam: ZeroDivisionError: store" in called.errors[0]
    (crash,) = (place.home / "crash").iterdir()
    assert "ZeroDivisionError" in crash.read_text()
