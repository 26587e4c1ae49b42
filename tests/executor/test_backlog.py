import math

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.executor.backlog import demands_of, start_seconds
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.dispatch import Waiting
from cwlbalsam.executor.site_limits import PilotLimits, SiteLimits
from cwlbalsam.planner.packing import Demand

NODE = Machine(cores=16, ram=64_000, tmpdir=1e9, gpus=4)
LIMITS = SiteLimits("here", (NODE,), PilotLimits(wall_seconds=3600))
WHOLE = 3600 - start_seconds(3600)


def waiting(count: int, wall: float = 0.0, seconds: float = 0.0, **grant: float) -> Waiting:
    return Waiting(Grant(**{"cores": 1, "ram": 1, **grant}), wall, seconds, count)  # type: ignore[arg-type]


def test_tasks_share_nodes_and_may_take_all_of_a_pilot_if_nobody_knows() -> None:
    assert demands_of([waiting(33)], LIMITS) == [Demand(nodes=1, seconds=WHOLE / 2, most_seconds=WHOLE, count=3)]


def test_a_time_limit_and_what_others_took_say_more() -> None:
    assert demands_of([waiting(16, wall=100)], LIMITS) == [Demand(nodes=1, seconds=50, most_seconds=100)]
    assert demands_of([waiting(16, wall=100, seconds=7)], LIMITS) == [Demand(nodes=1, seconds=7, most_seconds=100)]
    assert demands_of([waiting(16, wall=3600)], LIMITS)[0].most_seconds == WHOLE  # else no pilot would ever do


def test_what_a_task_takes_most_of_counts() -> None:
    assert demands_of([waiting(4, ram=64_000)], LIMITS)[0].count == 4
    assert demands_of([waiting(4, gpus=2)], LIMITS)[0].count == 2


def test_mpi_jobs_want_nodes_of_one_pilot() -> None:
    wide = [waiting(2, ranks=40), waiting(1, nodes=5), waiting(3, ranks=4), waiting(1, nodes=1)]
    found = demands_of(wide, LIMITS)
    assert sorted((demand.nodes, demand.count) for demand in found) == [(1, 1), (1, 1), (3, 2), (5, 1)]


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0.0, 10, 60, 600]), st.integers(1, 16)), max_size=6))
def test_short_tasks_fill_up_the_nodes_of_long_ones(tasks: list[tuple[int, float, int]]) -> None:
    found = demands_of([waiting(count, wall, cores=cores) for count, wall, cores in tasks], LIMITS)
    cores = sum(count * cores for count, _, cores in tasks)
    assert sum(demand.count for demand in found) == math.ceil(cores / 16)
