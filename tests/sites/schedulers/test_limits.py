from typing import Any

import pytest

from cwlbalsam.jobs.batch import MachineState, NodeShape, Queue
from cwlbalsam.sites.schedulers.limits import mistakes
from tests.sites.schedulers.recorded import request

MACHINE = MachineState(
    time=0,
    nodes=4,
    free=4,
    shapes=(NodeShape(count=4, cores=16),),
    queues=(
        Queue(name="batch", nodes=4, max_wall_seconds=86400, default=True),
        Queue(name="short", nodes=4, max_nodes=2, max_wall_seconds=300),
        Queue(name="wide", nodes=4, min_nodes=3),
        Queue(name="old", nodes=4, open=False),
    ),
)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"queue": "shrt"}, "there is no queue 'shrt'", "did you mean 'short'?"),
        ({"queue": "batch", "nodes": 5}, "5 nodes are asked for; queue 'batch' has 4", ""),
        ({"queue": "", "nodes": 5}, "5 nodes are asked for; queue 'batch' has 4", ""),
        (
            {"queue": "short", "nodes": 3, "wall_seconds": 60},
            "3 nodes are asked for; queue 'short' allows 2",
            "it fits in batch or wide",
        ),
        (
            {"queue": "short", "wall_seconds": 600},
            "a wall time of 00:10:00 is asked for; queue 'short' allows 00:05:00",
            "it fits in batch",
        ),
        (
            {"queue": "wide", "wall_seconds": 60},
            "2 nodes are asked for; queue 'wide' wants 3 at least",
            "it fits in batch or short",
        ),
        ({"queue": "old", "wall_seconds": 60}, "queue 'old' is closed", "it fits in batch or short"),
        ({"queue": "batch", "cores": 32}, "32 cores of a node are asked for; the largest has 16", ""),
    ],
)
def test_what_would_wait_for_ever_is_told_with_a_way_out(changes: dict[str, Any], message: str, hint: str) -> None:
    (problem,) = mistakes(request(**changes), MACHINE)
    assert (problem.message, problem.hint) == (message, hint)


def test_what_fits_and_what_nobody_knows_is_allowed() -> None:
    assert mistakes(request(queue="batch"), MACHINE) == []
    assert mistakes(request(queue="", nodes=4), MACHINE) == []
    assert mistakes(request(queue="any", nodes=400), MachineState(time=0, nodes=0, free=0)) == []
