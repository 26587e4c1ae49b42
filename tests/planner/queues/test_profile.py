from math import inf

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue, Reservation
from cwlbalsam.planner.queues.profile import Profile, place, profile_of, waiting, windows

intervals = st.tuples(st.integers(0, 30), st.integers(1, 30), st.integers(1, 5))
ALL = Queue(name="all")


def running(nodes: int, ends: float, queue: str = "all") -> BatchJob:
    return BatchJob(id=f"r{nodes}-{ends}", state=BatchState.RUNNING, nodes=nodes, ends=ends, queue=queue)


def queued(nodes: int, wall: float, priority: float = 0, queue: str = "all") -> BatchJob:
    name = f"q{nodes}-{wall}"
    return BatchJob(id=name, state=BatchState.QUEUED, nodes=nodes, wall_seconds=wall, priority=priority, queue=queue)


def machine(
    *jobs: BatchJob, nodes: int = 10, queues: tuple[Queue, ...] = (ALL,), **more: tuple[Reservation, ...]
) -> MachineState:
    busy = sum(job.nodes for job in jobs if job.state is BatchState.RUNNING)
    return MachineState(time=1000, nodes=nodes, free=nodes - busy, queues=queues, jobs=jobs, **more)


def holes(state: MachineState, depth: int = 1) -> list[tuple[int, float]]:
    return [(window.nodes, window.seconds) for window in windows(state, depth)]


@given(st.lists(intervals, max_size=12))
def test_giving_back_what_was_taken_leaves_no_trace(taken: list[tuple[int, int, int]]) -> None:
    profile = Profile(0, 10)
    for start, length, nodes in taken:
        profile.take(start, start + length, nodes)
    for start, length, nodes in reversed(taken[::2] + taken[1::2]):
        profile.add(start, start + length, nodes)
    assert (profile.times, profile.free) == ([0], [10])


@given(st.lists(intervals, max_size=12), intervals)
def test_a_profile_is_the_sum_of_what_was_taken(taken: list[tuple[int, int, int]], asked: tuple[int, int, int]) -> None:
    profile = Profile(0, 10)
    for start, length, nodes in taken:
        profile.take(start, start + length, nodes)
    levels = [10 - sum(n for start, length, n in taken if start <= time < start + length) for time in range(100)]
    assert [profile.free_at(time) for time in range(100)] == levels
    after, length, nodes = asked
    assert profile.least(after, after + length) == min(levels[after : after + length])
    fits = (time for time in range(after, 100) if min(levels[time : time + length]) >= nodes)
    assert profile.earliest(nodes, length, after) == next(fits)
    assert profile.free[1:] != profile.free[:-1] or len(profile.free) == 1
    profile.forget(after)
    assert [profile.free_at(time) for time in range(after, 100)] == levels[after:]


def test_an_idle_machine_is_one_hole_without_end() -> None:
    assert holes(machine()) == [(10, inf)]


def test_no_hole_delays_the_first_that_waits() -> None:
    state = machine(running(6, 1600), queued(8, 100))
    assert holes(state) == [(4, 600), (2, inf)]


def test_what_waits_and_could_start_now_comes_first() -> None:
    state = machine(running(6, 1600), queued(8, 100), queued(3, 200, priority=-1), queued(3, 200, priority=-2))
    assert holes(state) == [(1, inf)]


def test_with_more_depth_more_that_waits_is_safe() -> None:
    state = machine(running(6, 1600), queued(8, 100), queued(9, 50, priority=-1))
    assert holes(state) == [(4, 600), (2, inf)]
    assert holes(state, depth=2) == [(4, 600), (2, 700), (1, inf)]


def test_a_hole_ends_where_a_reservation_begins() -> None:
    kept = Reservation(name="maintenance", nodes=10, starts=4600, ends=9000)
    assert holes(machine(running(6, 1600), reservations=(kept,))) == [(4, 3600)]


def test_nodes_of_an_active_reservation_come_back_when_it_ends() -> None:
    state = MachineState(
        time=1000,
        nodes=10,
        free=4,
        queues=(ALL,),
        jobs=(queued(8, 100),),
        reservations=(Reservation(name="course", nodes=6, starts=0, ends=1300),),
    )
    assert holes(state) == [(4, 300), (2, inf)]


def test_a_queue_shows_only_what_it_allows() -> None:
    queues = (
        Queue(name="short", max_wall_seconds=120, max_nodes=3),
        Queue(name="wide", min_nodes=4),
        Queue(name="mine", nodes=7),
        Queue(name="closed", open=False),
    )
    state = machine(running(5, 1600, "mine"), queued(8, 100, queue="wide"), queues=queues)
    found = [(window.queue, window.nodes, window.seconds) for window in windows(state)]
    assert found == [("short", 3, 120), ("wide", 5, 600), ("mine", 2, inf)]


def test_what_is_held_or_in_a_closed_queue_holds_nobody_up() -> None:
    held = BatchJob(id="h", state=BatchState.HELD, nodes=10, wall_seconds=10, queue="all")
    state = machine(held, queued(10, 10, queue="closed"), queues=(ALL, Queue(name="closed", open=False)))
    assert holes(state) == [(10, inf)]


def test_a_batch_job_that_is_overdue_or_without_an_end_gives_nothing_away() -> None:
    overdue = machine(running(6, 900), queued(8, 100))
    assert holes(overdue) == [(4, 60), (2, inf)]
    endless = machine(running(6, 0), queued(8, 100))
    assert holes(endless) == [(4, inf)], "the first one can never start: there is nothing to delay"


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 500)), max_size=6), st.data())
def test_filling_a_hole_delays_neither_the_first_that_waits_nor_what_starts_now(
    busy: list[tuple[int, int]], data: st.DataObject
) -> None:
    jobs: list[BatchJob] = []
    for nodes, seconds in busy:
        if sum(job.nodes for job in jobs) + nodes <= 10:
            jobs.append(running(nodes, 1000 + 60 + seconds))
    jobs += [
        queued(nodes, wall, priority=-number)
        for number, (nodes, wall) in enumerate(
            data.draw(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 500)), max_size=5))
        )
    ]
    state = machine(*jobs)
    before = place(profile_of(state), waiting(state), state, 1)
    for window in windows(state):
        filled = profile_of(state)
        filled.take(1000, 1000 + window.seconds, window.nodes)
        assert filled.free_at(1000) >= 0
        assert place(filled, waiting(state), state, 1) == before


def test_nodes_last_until_fewer_are_free() -> None:
    profile = profile_of(machine(running(4, 1500)))
    profile.take(2000, 3000, 8)
    assert [profile.lasts(nodes, 1000) for nodes in (7, 6, 2)] == [1000, 2000, inf]
    assert profile.lasts(10, 1600) == 2000
