"""A real Slurm, by its own commands and by the PBS commands that are wrappers over it."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.batch import BatchState, MachineState
from cwlbalsam.sites.schedulers import SCHEDULERS, ask
from cwlbalsam.sites.schedulers.ask import Site
from cwlbalsam.sites.schedulers.limits import mistakes
from tests.cluster import Cluster, wait_until
from tests.sites.schedulers.recorded import request

pytestmark = pytest.mark.slurm
both = pytest.mark.parametrize("kind", ["slurm", "torque"])


class Place:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder

    def script(self, kind: str, **changes: Any) -> Path:
        fields = {"queue": "", "account": "", "constraint": "", "wall_seconds": 120, "output": f"{self.folder}/out%j"}
        path = self.folder / f"{kind}.sh"
        path.write_text(SCHEDULERS[kind].script(request(**{**fields, "directory": str(self.folder), **changes})))
        return path

    def submit(self, kind: str, **changes: Any) -> str:
        name = changes.get("name", "pilot-1")
        return asyncio.run(ask.submit(site(kind), str(self.script(kind, **changes)), name))

    @property
    def output(self) -> str:
        path = self.folder / "out%j"
        return path.read_text() if path.exists() else ""


def site(kind: str) -> Site:
    return Site(scheduler=SCHEDULERS[kind])


def state(kind: str, batch_id: str) -> BatchState:
    return asyncio.run(ask.statuses(site(kind), [batch_id, "999999"]))[batch_id]


def machine(kind: str) -> MachineState:
    return asyncio.run(ask.machine(site(kind)))


@pytest.fixture
def place(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Place]:
    monkeypatch.setenv("SLURM_CONF", slurm_cluster.environment["SLURM_CONF"])
    folder = slurm_cluster.shared / re.sub(r"\W", "_", request.node.name)
    folder.mkdir()
    monkeypatch.chdir(folder)  # qsub's wrapper writes its own output there
    yield Place(slurm_cluster, folder)
    slurm_cluster.cancel_all()


@both
def test_a_batch_job_runs_on_its_nodes_and_finishes(place: Place, kind: str) -> None:
    program = "from cwlbalsam.sites.schedulers.allocation import read_allocation as r; import os; a = r(os.environ)"
    python = Path(os.sys.executable)
    body = f"{python} -c '{program}; print(*a.hosts, a.batch_id); print(int(a.ends))'; touch here"
    batch_id = place.submit(kind, body=body)
    wait_until(lambda: state(kind, batch_id) is BatchState.FINISHED)
    first, second = place.output.splitlines()
    assert first == f"n1 n2 {batch_id}"
    assert 60 < int(second) - time.time() <= 120
    assert (place.folder / "here").exists()


@both
def test_a_batch_job_is_seen_running_and_is_cancelled(place: Place, kind: str) -> None:
    batch_id = place.submit(kind, name="seen", body="sleep 100", nodes=3, cores=4)
    wait_until(lambda: state(kind, batch_id) is BatchState.RUNNING)
    now = machine(kind)
    (job,) = now.jobs
    assert (job.id, job.nodes, job.name, job.user, job.wall_seconds) == (batch_id, 3, "seen", "root", 120)
    assert (now.nodes, now.free) == (4, 1)
    assert 0 < job.ends - time.time() <= 121
    asyncio.run(ask.cancel(site(kind), [batch_id]))
    wait_until(lambda: state(kind, batch_id) in (BatchState.FAILED, BatchState.FINISHED))
    asyncio.run(ask.cancel(site(kind), [batch_id]))  # it has ended: no error


@both
def test_queues_and_nodes_of_the_machine(place: Place, kind: str) -> None:
    now = machine(kind)
    assert {queue.name for queue in now.queues} >= {"batch", "short", "urgent"}
    assert (now.shapes[0].count, now.shapes[0].cores, now.shapes[0].memory_megabytes) == (4, 4, 4000)
    if kind == "slurm":
        limits = {queue.name: (queue.max_nodes, queue.max_wall_seconds, queue.default) for queue in now.queues}
        assert limits["short"] == (2, 300, False)
        assert limits["batch"] == (0, 86400, True)


def test_when_a_batch_job_would_start_is_asked_without_submitting_it(place: Place) -> None:
    at_once = asyncio.run(ask.earliest_start(site("slurm"), str(place.script("slurm"))))
    assert at_once is not None and abs(at_once - time.time()) < 30
    blocker = place.submit("slurm", body="sleep 100", nodes=4, wall_seconds=3600)
    wait_until(lambda: state("slurm", blocker) is BatchState.RUNNING)
    later = asyncio.run(ask.earliest_start(site("slurm"), str(place.script("slurm"))))
    assert later is not None and 3000 < later - time.time() < 4000
    assert len(machine("slurm").jobs) == 1


def test_bad_requests_are_errors_in_slurms_words(place: Place) -> None:
    for changes, words in [
        ({"queue": "nope"}, "invalid partition specified: nope"),
        ({"account": "alchemy"}, "Invalid account"),
        ({"constraint": "sparkling"}, "Invalid feature specification"),
    ]:
        with pytest.raises(UserError, match=words):
            place.submit("slurm", **changes)


def test_what_slurm_would_let_wait_for_ever_is_found_before(place: Place) -> None:
    place.submit("slurm", nodes=3, queue="short", wall_seconds=60)
    place.submit("slurm", nodes=400)
    (problem,) = mistakes(request(queue="short", nodes=3, wall_seconds=60), machine("slurm"))
    assert problem.message == "3 nodes are asked for; queue 'short' allows 2"
    (problem,) = mistakes(request(queue="batch", nodes=400), machine("slurm"))
    assert problem.message == "400 nodes are asked for; queue 'batch' has 4"


def test_held_and_waiting_batch_jobs_are_told_apart(place: Place) -> None:
    held = place.submit("slurm", name="held", extra=("--hold",))
    waits = place.submit("slurm", name="waits", extra=("#SBATCH --begin=now+1hour",))
    assert state("slurm", held) is BatchState.HELD
    assert state("slurm", waits) is BatchState.QUEUED
    assert {job.name: job.ends for job in machine("slurm").jobs} == {"held": 0.0, "waits": 0.0}


def test_a_reservation_is_seen(place: Place) -> None:
    create = ["scontrol", "create", "reservation", "ReservationName=maint", "StartTime=now+1hour", "Duration=30"]
    place.cluster.call(*create, "Nodes=n[1-3]", "Users=root", "PartitionName=batch")
    try:
        (reservation,) = machine("slurm").reservations
        assert (reservation.name, reservation.nodes) == ("maint", 3)
        assert 3500 < reservation.starts - time.time() < 3700
        assert reservation.ends - reservation.starts == 1800
    finally:
        place.cluster.call("scontrol", "delete", "ReservationName=maint")


def test_a_preempted_batch_job_keeps_its_id_and_waits_again(place: Place) -> None:
    low = place.submit("slurm", name="low", body="sleep 100", nodes=4)
    wait_until(lambda: state("slurm", low) is BatchState.RUNNING)
    high = place.submit("slurm", name="high", body="sleep 100", nodes=4, queue="urgent")
    wait_until(lambda: state("slurm", high) is BatchState.RUNNING)
    assert state("slurm", low) is BatchState.QUEUED


def test_a_controller_that_is_down_is_a_clear_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = place.folder / "slurm.conf"
    text = Path(os.environ["SLURM_CONF"]).read_text()
    conf.write_text(re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=9", text) + "MessageTimeout=1\n")
    monkeypatch.setenv("SLURM_CONF", str(conf))
    down = Site(scheduler=SCHEDULERS["slurm"], pauses=(0.01,), seconds=3)
    with pytest.raises(UserError, match=r"squeue (gave no answer|ended with code 1)"):
        asyncio.run(ask.statuses(down, ["1"]))
