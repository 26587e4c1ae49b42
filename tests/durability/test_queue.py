"""The standing queue and the scripts around jobs: killed, and gone on with."""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cwlbalsam.jobs.model import State
from tests.cluster import wait_until
from tests.durability.place import Place, command_of, kill, processes

ADDED = 1000


class QueuePlace(Place):
    def daemons(self) -> list[int]:
        return [pid for pid in processes() if f"service.queue_daemon\0{self.home}" in whole(pid)]

    def listed(self) -> dict[int, dict[str, object]]:
        return {job["id"]: job for job in json.loads(self.call("qstat", "--all", "--json"))}


def whole(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[QueuePlace]:
    place = QueuePlace(tmp_path)
    yield place
    for pid in place.daemons():
        with suppress(ProcessLookupError):  # it may be ending by itself
            os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not place.daemons(), 20)


def script(place: Place, body: str) -> Path:
    path = place.folder / "script.py"
    path.write_text(f"#!{sys.executable}\nimport os, signal, time\nfrom cwlbalsam import dag\n{body}")
    path.chmod(0o755)
    return path


def test_a_killed_queue_goes_on_and_nothing_that_has_ended_runs_again(place: QueuePlace) -> None:
    work = ["sh", "-c", f"echo $CWLBALSAM_JOB_ID >> {place.folder}/ran; sleep 0.05"]
    numbers = [int(word) for word in place.call("qsub", "--array", "1-40", "-o", "/dev/null", "--", *work).split()]
    last = int(place.call("qsub", "--after", ",".join(map(str, numbers)), "-o", "/dev/null", "--", "true"))
    wait_until(lambda: len(ran(place)) >= 10)
    done = {number for number, job in place.listed().items() if job["state"] == "done"}
    kill(*place.daemons())
    place.call("qstat")  # whoever looks starts it again
    wait_until(lambda: place.listed()[last]["state"] == "done", 60)
    counts = Counter(ran(place))
    assert set(counts) == set(numbers)
    assert all(counts[number] == 1 for number in done)
    assert {job["state"] for job in place.listed().values()} == {"done"}


def ran(place: Place) -> list[int]:
    path = place.folder / "ran"
    return list(map(int, path.read_text().split())) if path.exists() else []


def test_failed_jobs_of_a_killed_queue_are_not_tried_again(place: QueuePlace) -> None:
    work = ["sh", "-c", f"echo $CWLBALSAM_JOB_ID >> {place.folder}/ran; exit 3"]
    failed = int(place.call("qsub", "--wait", "-o", "/dev/null", "--", *work, code=3))
    slow = int(place.call("qsub", "-o", "/dev/null", "--", "sleep", "1"))
    kill(*place.daemons())
    place.call("qstat")
    wait_until(lambda: place.listed()[slow]["state"] == "done", 60)
    assert ran(place) == [failed]
    assert place.listed()[failed]["exit_code"] == 3


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(1)", "os._exit(1)"])
def test_a_script_that_fails_after_a_thousand_additions_leaves_none_of_them(place: QueuePlace, end: str) -> None:
    body = f"for n in range({ADDED}):\n    dag.add(['true'], stdout='/dev/null')\ndag._script().commit()\n{end}\n"
    place.call("qsub", "--wait", "-o", "/dev/null", "--postprocess", str(script(place, body)), "--", "true", code=1)
    states = Counter(job[2] for job in place.jobs(place.run_id()).values() if job[1] == "job")
    assert states == {State.FAILED: 1}


@pytest.mark.parametrize("victim", ["coordinator", "all"])
def test_a_crash_in_the_middle_of_a_script_that_adds_a_thousand_jobs_leaves_none_of_them(
    place: QueuePlace, victim: str
) -> None:
    half = f"for n in range({ADDED}):\n    dag.spawn(['true'], stdout='/dev/null')\n    if n == {ADDED // 2}:\n"
    wait = f"        open({str(place.folder / 'half')!r}, 'a').write('x')\n"
    stop = f"        while not os.path.exists({str(place.folder / 'go')!r}): time.sleep(0.02)\n"
    after = script(place, half + wait + stop)
    job = int(place.call("qsub", "-o", "/dev/null", "--postprocess", str(after), "--", "true"))
    wait_until((place.folder / "half").exists)
    run = place.run_id()
    scripts = [pid for pid in processes() if str(after) in command_of(pid)]
    assert scripts
    kill(*place.daemons(), *(scripts if victim == "all" else []))
    jobs = {number: found for number, found in place.jobs(run).items() if found[1] == "job"}
    assert {number: found[2] for number, found in jobs.items()} == {job: State.RUN_DONE}
    (place.folder / "go").touch()
    place.call("qstat")
    wait_until(lambda: len(place.named(run)) == ADDED + 1, 60)
    wait_until(lambda: {found["state"] for found in place.listed().values()} == {"done"}, 120)
    assert len(place.listed()) == ADDED + 1
    assert (place.folder / "half").read_text() == "xx"  # once in each life; its job ran once
    attempts = [found[3] for found in place.jobs(run).values() if found[0].startswith("true[")]
    assert max(attempts) <= 1


def test_a_script_that_has_ended_well_is_not_run_again(place: QueuePlace) -> None:
    body = f"open({str(place.folder / 'ran')!r}, 'a').write('7\\n')\ndag.add(['sleep', '2'], stdout='/dev/null')\n"
    place.call("qsub", "-o", "/dev/null", "--postprocess", str(script(place, body)), "--", "true")
    wait_until(lambda: len(place.listed()) == 2)
    kill(*place.daemons())
    place.call("qstat")
    wait_until(lambda: {job["state"] for job in place.listed().values()} == {"done"}, 60)
    assert ran(place) == [7]
    assert len(place.listed()) == 2
