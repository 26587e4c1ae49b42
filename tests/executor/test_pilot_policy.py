from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import ANY_PILOT, PilotKind
from cwlbalsam.executor.pilot_policy import decide_for, site_of, with_ours
from cwlbalsam.executor.site_limits import PilotLimits
from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue
from cwlbalsam.planner.packing import Demand
from cwlbalsam.planner.pilot_actions import Action, Cancel, Kind, Pilot, Submit

NOW = 1000.0
LIMITS = PilotLimits(pilots=4, nodes=16, nodes_per_pilot=4, wall_seconds=3600)
UNKNOWN = Demand(nodes=1, seconds=1795, most_seconds=3590)
BATCH, SHORT = Queue(name="batch", nodes=4, default=True), Queue(name="short", max_nodes=2, max_wall_seconds=300)


def some(count: int, **more: float) -> Demand:
    return Demand(**{"nodes": 1, "seconds": 1795, "most_seconds": 3590, "count": count, **more})  # type: ignore


def machine(*jobs: BatchJob, free: int | None = None) -> MachineState:
    busy = sum(job.nodes for job in jobs if job.state is BatchState.RUNNING)
    return MachineState(time=NOW, nodes=4, free=4 - busy if free is None else free, queues=(BATCH, SHORT), jobs=jobs)


def job(state: BatchState, nodes: int, seconds: float, name: str = "x") -> BatchJob:
    ends = NOW + seconds if state is BatchState.RUNNING else 0.0
    return BatchJob(id=name, state=state, nodes=nodes, wall_seconds=seconds, queue="batch", ends=ends, priority=9)


def pilot(nodes: int, kind: Kind = Kind.HOLE, started: float = 0.0, name: str = "p", **more: float | bool) -> Pilot:
    told = {"wall_seconds": 3600.0, "submitted": NOW, "ready": bool(started), **more}
    return Pilot(id=name, site=site_of(ANY_PILOT), kind=kind, nodes=nodes, started=started, **told)  # type: ignore


def decided(
    backlog: list[Demand],
    state: MachineState | None,
    *pilots: Pilot,
    limits: PilotLimits = LIMITS,
    kind: PilotKind = ANY_PILOT,
) -> list[Action]:
    return decide_for(kind, NOW, backlog, state, pilots, limits, [])


def asked(actions: list[Action], *kinds: Kind) -> list[tuple[int, float]]:
    wanted = kinds or tuple(Kind)
    return [(one.nodes, one.wall_seconds) for one in actions if isinstance(one, Submit) and one.kind in wanted]


def test_an_empty_machine_gives_as_many_nodes_as_wait_for_all_the_time_that_is_allowed() -> None:
    assert asked(decided([some(3)], machine())) == [(3, 3600)]
    assert asked(decided([some(90)], machine()), Kind.HOLE) == [(4, 3600)]
    assert asked(decided([some(3)], machine(), limits=PilotLimits(pilots=2, nodes=2, nodes_per_pilot=1))) == [
        (1, 3600),
        (1, 3600),
    ]


def test_what_is_coming_is_not_asked_for_again_but_what_works_is_busy() -> None:
    assert asked(decided([some(3)], machine(), pilot(3))) == []
    assert asked(decided([some(3)], machine(), pilot(3, started=NOW, ready=False))) == []
    assert asked(decided([some(2)], machine(), pilot(1, started=NOW))) == [(2, 3600)]


def test_a_hole_gets_a_pilot_that_ends_before_it() -> None:
    state = machine(job(BatchState.RUNNING, 2, 500), job(BatchState.QUEUED, 4, 3600, "y"))
    short = some(10, seconds=30, most_seconds=60)
    (nodes, wall), *more = asked(decided([short], state), Kind.HOLE)
    assert (nodes, wall, more) == (2, 480, [])  # whole minutes, and some seconds to get there
    assert asked(decided([some(10)], state), Kind.HOLE) == []
    assert asked(decided([some(10)], state), Kind.LINE)


def test_a_queue_has_its_own_limits() -> None:
    short = some(100, seconds=30, most_seconds=60)
    assert asked(decided([short], machine(), kind=PilotKind(queue="short")), Kind.HOLE) == [(2, 300), (2, 300)]


def test_a_wide_job_gets_a_pilot_wide_enough_though_others_run_or_nodes_are_busy() -> None:
    wide = Demand(nodes=3, seconds=1, most_seconds=5)
    running = machine(job(BatchState.RUNNING, 1, 3600, "p"))
    assert asked(decided([wide], running, pilot(1, started=NOW))) == [(3, 3600)]
    busy = machine(job(BatchState.RUNNING, 2, 3600), job(BatchState.RUNNING, 1, 3600, "p"))
    assert asked(decided([wide], busy, pilot(1, started=NOW))) == [(3, 3600)]
    narrow = PilotLimits(pilots=4, nodes=3, nodes_per_pilot=3)
    assert asked(decided([wide], None, pilot(1, started=NOW), limits=narrow)) == []  # until that one has left


def test_who_waits_for_nothing_is_taken_back_after_a_while() -> None:
    for state in (machine(), None):
        for kind in Kind:
            early, late = pilot(2, kind, submitted=NOW - 10), pilot(2, kind, submitted=NOW - 70)
            assert decided([], state, early) == []
            assert [type(action) for action in decided([], state, late)] == [Cancel]


def test_a_pilot_that_does_not_start_is_taken_back_only_if_the_machine_is_known() -> None:
    late = pilot(2, submitted=NOW - 600)
    assert [one for one in decided([some(2)], machine(), late) if isinstance(one, Cancel)]
    assert decided([some(2)], None, late) == []


def test_our_own_batch_jobs_are_as_we_know_them() -> None:
    asked_since, started_since = pilot(1), pilot(2, started=NOW, name="q")
    seen = with_ours(machine(job(BatchState.QUEUED, 2, 3600, "q")), [asked_since, started_since], NOW + 5)
    assert (seen.time, seen.free) == (NOW + 5, 2)
    assert {one.id: one.state for one in seen.jobs} == {"q": BatchState.RUNNING, "p": BatchState.QUEUED}
    again = with_ours(machine(job(BatchState.RUNNING, 2, 3600, "q")), [started_since], NOW)
    assert again.free == 2


@given(st.integers(1, 60), st.integers(0, 4), st.integers(1, 5), st.integers(1, 20), st.integers(1, 6))
def test_where_nobody_knows_as_many_nodes_are_asked_for_as_wait(
    count: int, coming: int, most: int, nodes: int, each: int
) -> None:
    limits = PilotLimits(pilots=most, nodes=nodes, nodes_per_pilot=each)
    there = [pilot(coming)] if 0 < coming <= nodes else []
    found = asked(decided([some(count)], None, *there, limits=limits))
    room = max(min(nodes - sum(one.nodes for one in there), each * (most - len(there))), 0)
    wanted = max(count - sum(one.nodes for one in there), 0)
    assert sum(size for size, _ in found) == min(wanted, room)
    assert len(found) + len(there) <= max(most, len(there))
    assert all(size <= each for size, _ in found)
