from math import inf

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue
from cwlbalsam.planner.packing import Demand, Thrift
from cwlbalsam.planner.pilot_actions import Action, Cancel, Failed, Kind, Limits, Pilot, Submit
from cwlbalsam.planner.pilots import decide
from cwlbalsam.planner.queues.profile import windows

NOW = 1000.0
HOURS = Demand(nodes=1, seconds=3000, most_seconds=3500, count=1000)
QUEUE = Queue(name="batch", nodes=100, max_nodes=100, max_wall_seconds=86_400, max_queued=20)


def machine(*jobs: BatchJob, queue: Queue = QUEUE) -> MachineState:
    busy = sum(job.nodes for job in jobs if job.state is BatchState.RUNNING)
    return MachineState(time=NOW, nodes=100, free=100 - busy, queues=(queue,), jobs=jobs)


def running(nodes: int, seconds: float) -> BatchJob:
    return BatchJob(id="r", state=BatchState.RUNNING, nodes=nodes, started=NOW, ends=NOW + seconds, queue="batch")


def queued(nodes: int, seconds: float = 7200) -> BatchJob:
    return BatchJob(id="q", state=BatchState.QUEUED, nodes=nodes, wall_seconds=seconds, queue="batch")


def pilot(kind: Kind, nodes: int, wall: float, submitted: float = NOW, started: float = 0.0) -> Pilot:
    return Pilot(id="p", site="here", kind=kind, nodes=nodes, wall_seconds=wall, submitted=submitted, started=started)


def submits(actions: list[Action], kind: Kind) -> list[Submit]:
    return [action for action in actions if isinstance(action, Submit) and action.kind is kind]


def cancels(actions: list[Action]) -> list[Cancel]:
    return [action for action in actions if isinstance(action, Cancel)]


def test_a_hole_is_filled_before_the_first_in_line_needs_it() -> None:
    state = machine(running(60, 7200), queued(80))
    asked = submits(decide(NOW, [HOURS], {"here": state}, [], Limits()), Kind.HOLE)
    assert sum(submit.nodes for submit in asked) == 40
    assert all(submit.wall_seconds <= 7200 for submit in asked if submit.nodes > 20)
    assert "nodes are free now for" in asked[0].reason


def test_a_hole_that_is_too_short_for_any_job_is_left_alone() -> None:
    state = machine(running(60, 1800), queued(100))
    assert submits(decide(NOW, [HOURS], {"here": state}, [], Limits()), Kind.HOLE) == []


def test_little_work_asks_for_few_nodes() -> None:
    few = Demand(nodes=1, seconds=3000, most_seconds=3500, count=3)
    asked = submits(decide(NOW, [few], {"here": machine()}, [], Limits()), Kind.HOLE)
    assert sum(submit.nodes for submit in asked) == 3


def test_no_work_asks_for_nothing_and_takes_back_who_waits_in_line() -> None:
    actions = decide(NOW, [], {"here": machine()}, [pilot(Kind.LINE, 10, 3600)], Limits())
    assert [action.reason for action in cancels(actions)] == ["what is left to do would not fill it"]
    assert len(actions) == 1


def test_a_running_pilot_that_can_do_the_rest_soon_is_enough() -> None:
    few = Demand(nodes=1, seconds=600, most_seconds=700, count=20)
    runs = pilot(Kind.HOLE, 50, 7200, started=NOW - 100)
    assert decide(NOW, [few], {"here": machine()}, [runs], Limits()) == []


def test_a_pilot_that_did_not_start_is_taken_back_and_less_is_asked_for() -> None:
    state = machine(running(60, 7200), queued(80))
    late = pilot(Kind.HOLE, 40, 4000, submitted=NOW - 300)
    actions = decide(NOW, [HOURS], {"here": state}, [late], Limits())
    assert cancels(actions)[0].pilot == "p"
    assert max(submit.nodes for submit in submits(actions, Kind.HOLE)) <= 20
    remembered = Failed(site="here", nodes=40, wall_seconds=4000, time=NOW - 60)
    again = submits(decide(NOW, [HOURS], {"here": state}, [], Limits(), [remembered]), Kind.HOLE)
    assert max(submit.nodes for submit in again) <= 20
    forgotten = Failed(site="here", nodes=40, wall_seconds=4000, time=NOW - 10_000)
    assert decide(NOW, [HOURS], {"here": state}, [], Limits(), [forgotten]) == decide(
        NOW, [HOURS], {"here": state}, [], Limits()
    )


def test_pilots_wait_in_line_where_no_hole_is_open() -> None:
    asked = decide(NOW, [HOURS], {"here": machine(running(100, 7200))}, [], Limits())
    assert asked
    assert submits(asked, Kind.LINE) == asked
    assert len({(submit.nodes, submit.wall_seconds) for submit in submits(asked, Kind.LINE)}) > 1
    assert asked[0].reason.endswith("it starts in 7200 s at the latest")
    (endless, *_) = decide(NOW, [HOURS], {"here": machine(running(100, inf))}, [], Limits())
    assert endless.reason.endswith("it starts at a time that nobody knows")


def test_the_least_work_is_done_by_somebody() -> None:
    tiny = Demand(nodes=2, seconds=1, most_seconds=2)
    queue = Queue(name="batch", min_nodes=64, max_nodes=100)
    limits = Limits(thrift=Thrift(spare=0))
    asked = decide(NOW, [tiny], {"here": machine(queue=queue)}, [], limits)
    assert [(submit.nodes, submit.wall_seconds) for submit in submits(asked, Kind.LINE)] == [(64, 62)]
    assert decide(NOW, [tiny], {"here": machine(queue=queue)}, [pilot(Kind.LINE, 64, 62)], limits) == []


def test_the_largest_hole_of_all_sites_comes_first() -> None:
    machines = {"narrow": machine(running(90, inf)), "wide": machine(running(20, inf))}
    asked = submits(decide(NOW, [HOURS], machines, [], Limits()), Kind.HOLE)
    assert (asked[0].site, asked[0].nodes) == ("wide", 80)


def test_nodes_of_all_pilots_together_are_limited() -> None:
    runs = pilot(Kind.HOLE, 30, 7200, started=NOW - 100)
    actions = decide(NOW, [HOURS], {"here": machine()}, [runs], Limits(nodes={"here": 50}))
    assert sum(action.nodes for action in actions if isinstance(action, Submit)) == 20


def test_a_job_too_wide_for_what_runs_gets_a_pilot_however_little_work_it_is() -> None:
    wide = Demand(nodes=60, seconds=1, most_seconds=2)
    runs = pilot(Kind.HOLE, 50, 7200, started=NOW - 100)
    busy = machine(running(50, 7200), running(40, 600))
    (asked,) = submits(decide(NOW, [wide], {"here": busy}, [runs], Limits(thrift=Thrift(spare=0))), Kind.LINE)
    assert asked.nodes == 60
    line = pilot(Kind.LINE, 60, asked.wall_seconds)
    assert decide(NOW, [wide], {"here": busy}, [runs, line], Limits(thrift=Thrift(spare=0))) == []


def test_a_pilot_whose_launcher_is_starting_is_not_asked_for_again() -> None:
    few = Demand(nodes=1, seconds=3000, most_seconds=3500, count=5)
    starts = Pilot(
        id="p", site="here", kind=Kind.LINE, nodes=5, wall_seconds=7200, submitted=NOW, started=NOW, ready=False
    )
    limits = Limits(absorb_seconds=0)
    assert decide(NOW, [few], {"here": machine(running(5, 7200))}, [starts], limits) == []


def test_pilots_take_all_the_time_that_starts_them_no_later() -> None:
    short = Demand(nodes=1, seconds=60, most_seconds=90, count=40)
    state = machine(running(60, 7200), queued(80))
    limits = Limits(stretch=True, margin_seconds=30, grain_seconds=60, longest_seconds=10_000)
    (asked,) = submits(decide(NOW, [short], {"here": state}, [], limits), Kind.HOLE)
    assert (asked.nodes, asked.wall_seconds) == (40, 7140)
    full = submits(decide(NOW, [short], {"here": machine(running(100, 600))}, [], limits), Kind.LINE)
    assert {submit.wall_seconds for submit in full} == {10_000}


def test_who_waits_is_kept_for_a_while() -> None:
    waits = pilot(Kind.LINE, 10, 3600, submitted=NOW - 30)
    assert decide(NOW, [], {"here": machine()}, [waits], Limits(keep_seconds=60)) == []
    assert cancels(decide(NOW, [], {"here": machine()}, [waits], Limits(keep_seconds=20)))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(10, 5000)), max_size=4),
    st.lists(st.tuples(st.integers(1, 100), st.integers(60, 5000)), max_size=3),
    st.integers(1, 12),
    st.integers(1, 30),
    st.integers(0, 400_000),
)
def test_no_limit_is_broken_and_every_hole_pilot_fits(
    busy: list[tuple[int, int]], waits: list[tuple[int, int]], most: int, least: int, budget: int
) -> None:
    queue = Queue(name="batch", min_nodes=least, max_nodes=60, max_wall_seconds=4000, max_queued=most)
    jobs: list[BatchJob] = []
    for nodes, seconds in busy:
        if sum(job.nodes for job in jobs) + nodes <= 100:
            jobs.append(running(nodes, seconds))
    state = machine(*jobs, *(queued(nodes, seconds) for nodes, seconds in waits), queue=queue)
    work = [Demand(nodes=nodes, seconds=40 * nodes, most_seconds=50 * nodes, count=30) for nodes in (1, 4, 16)]
    limits = Limits(node_seconds={"here": budget})
    actions = decide(NOW, work, {"here": state}, [], limits)
    asked = [action for action in actions if isinstance(action, Submit)]
    assert len(asked) <= most
    assert sum(submit.nodes * submit.wall_seconds for submit in asked) <= budget + 1e-6
    assert all(least <= submit.nodes <= 60 and submit.wall_seconds <= 4000 and submit.reason for submit in asked)
    holes = windows(state)
    for submit in submits(actions, Kind.HOLE):
        assert any(submit.nodes <= hole.nodes and submit.wall_seconds <= hole.seconds for hole in holes)
    assert sum(submit.nodes for submit in submits(actions, Kind.HOLE)) <= state.free
