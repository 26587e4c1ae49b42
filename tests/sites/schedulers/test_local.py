"""Batch jobs that are processes of this machine, for real."""

import asyncio
import time
from pathlib import Path
from typing import Any

from cwlbalsam.jobs.batch import BatchState
from cwlbalsam.sites.schedulers import ask, local
from cwlbalsam.sites.schedulers.ask import Site
from tests.cluster import wait_until
from tests.sites.schedulers.recorded import request

SITE = Site(scheduler=local)


def submit(folder: Path, **changes: Any) -> str:
    path = folder / "script with a space.sh"
    path.write_text(local.script(request(directory=str(folder), output=str(folder / "out"), **changes)))
    return asyncio.run(ask.submit(SITE, str(path), "it"))


def state(batch_id: str) -> BatchState:
    return asyncio.run(ask.statuses(SITE, [batch_id]))[batch_id]


def test_it_runs_in_its_directory_knows_its_id_and_end_and_finishes(tmp_path: Path) -> None:
    body = "pwd; echo $CWLBALSAM_BATCH_ID; echo $((CWLBALSAM_BATCH_ENDS - $(date +%s)))"
    batch_id = submit(tmp_path, body=body, wall_seconds=1000)
    wait_until(lambda: state(batch_id) is BatchState.FINISHED)
    where, inner, left = (tmp_path / "out").read_text().split()
    assert (where, inner) == (str(tmp_path), batch_id)
    assert 990 <= int(left) <= 1000


def test_it_is_cancelled_with_all_its_processes(tmp_path: Path) -> None:
    batch_id = submit(tmp_path, body="trap 'echo told >> told; exit' TERM; sleep 1000 & touch begun; wait")
    wait_until((tmp_path / "begun").exists)
    assert state(batch_id) is BatchState.RUNNING
    asyncio.run(ask.cancel(SITE, [batch_id]))
    wait_until(lambda: state(batch_id) is BatchState.FINISHED)
    assert (tmp_path / "told").exists()


def test_it_ends_when_its_time_is_up(tmp_path: Path) -> None:
    batch_id = submit(tmp_path, body="sleep 1000", wall_seconds=1)
    wait_until(lambda: state(batch_id) is BatchState.FINISHED)


def test_a_process_with_a_number_that_was_used_before_is_another_one() -> None:
    assert state("1.1") is BatchState.FINISHED
    asyncio.run(ask.cancel(SITE, ["1.1"]))


def test_this_machine_is_one_node_that_starts_at_once() -> None:
    state = asyncio.run(ask.machine(SITE))
    assert (state.nodes, state.free) == (1, 1)
    assert state.shapes[0].memory_megabytes > 0
    start = asyncio.run(ask.earliest_start(SITE, "x.sh"))
    assert start is not None and abs(start - time.time()) < 60
