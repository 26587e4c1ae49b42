"""What holds for the leases of every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.leases import Leases, SessionLost, leases_of
from cwlbalsam.store.memory import MemoryStore

RUN, OTHER = "0199e6a2-0001", "0199e6a2-0002"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    home = tmp_path if request.param == "sqlite" else request.getfixturevalue("empty_postgres")
    made = open_store(home)
    made.put_program("digest", b"program")
    for run in (RUN, OTHER):
        record = RunRecord(id=run, name="w", document="w.cwl", program="digest", created=1.0, directory="/d")
        jobs = [
            BalsamJob(id=n, name=f"a[{n}]", kind="job", process=1, step=(0, n), inputs=b"in", state=State.READY)
            for n in range(5)
        ]
        made.create_run(record, Changes(jobs=[*jobs, BalsamJob(id=9, name="g", kind="gather", process=1)]))
    yield made
    made.close()


@pytest.fixture
def leases(store: Store) -> Leases:
    return leases_of(store)


def session(leases: Leases, now: float = 100.0, ttl: float = 30.0) -> str:
    return leases.open_session("agent", "host", ttl, now).id


def test_only_offered_jobs_are_leased_each_once_oldest_first(leases: Leases) -> None:
    one, other = session(leases), session(leases)
    assert leases.lease(one, 10) == []
    assert leases.offer(RUN, [0, 1, 2, 9]) == 4
    assert leases.offer(RUN, [0, 1, 2]) == 0
    first, second = leases.lease(one, 2), leases.lease(other, 10)
    assert [(lease.run, lease.job.id, lease.job.attempt) for lease in first] == [(RUN, 0, 1), (RUN, 1, 1)]
    assert [lease.job.id for lease in second] == [2]
    assert (first[0].job.name, first[1].job.step, first[0].job.inputs) == ("a[0]", (0, 1), b"in")
    assert leases.held(one) == first


def test_a_run_may_be_asked_for(leases: Leases) -> None:
    leases.offer(RUN, [0])
    leases.offer(OTHER, [0, 1])
    mine = session(leases)
    assert [(lease.run, lease.job.id) for lease in leases.lease(mine, 10, OTHER)] == [(OTHER, 0), (OTHER, 1)]
    assert leases.lease(mine, 10, "unknown") == []


def test_jobs_that_cannot_start_are_not_leased(store: Store, leases: Leases) -> None:
    leases.offer(RUN, [0, 1])
    store.apply(RUN, Changes(moves=[Move(job=0, state=State.FAILED, time=1.0)]))
    mine = session(leases)
    assert leases.lease(mine, 10, states=[State.RESTART_READY]) == []
    assert [lease.job.id for lease in leases.lease(mine, 10)] == [1]


def test_what_is_given_back_goes_to_another_as_a_new_attempt(leases: Leases) -> None:
    leases.offer(RUN, [0, 1])
    one, other = session(leases), session(leases)
    leases.lease(one, 10)
    assert leases.release(other, RUN, [0]) == 0
    assert leases.release(one, RUN, [0]) == 1
    assert [(lease.job.id, lease.job.attempt) for lease in leases.lease(other, 10)] == [(0, 2)]
    assert [lease.job.id for lease in leases.held(one)] == [1]


def test_a_job_that_has_ended_is_held_by_nobody(store: Store, leases: Leases) -> None:
    leases.offer(RUN, [0, 1])
    mine = session(leases)
    leases.lease(mine, 10)
    store.apply(RUN, Changes(moves=[Move(job=0, state=State.RUNNING, time=1.0, attempt=1)]))
    assert [lease.job.state for lease in leases.held(mine)] == [State.RUNNING, State.READY]
    store.apply(RUN, Changes(moves=[Move(job=0, state=State.RUN_DONE, time=1.0, attempt=1)]))
    assert [lease.job.id for lease in leases.held(mine)] == [1]
    assert leases.release(mine, RUN, [0]) == 0


def test_a_session_that_is_not_renewed_in_time_is_suspect_and_keeps_its_jobs(leases: Leases) -> None:
    leases.offer(RUN, [0])
    late, renewed = session(leases), session(leases)
    leases.lease(late, 1)
    leases.renew(renewed, 120.0)
    assert leases.expire(130.0) == []
    assert [(found.id, found.state) for found in leases.expire(131.0)] == [(late, "suspect")]
    assert leases.expire(131.0) == []
    for call in (lambda: leases.renew(late, 131.0), lambda: leases.lease(late, 1)):
        with pytest.raises(SessionLost):
            call()
    assert leases.lease(renewed, 1) == []
    assert [lease.job.id for lease in leases.held(late)] == [0]


def test_a_renewal_that_arrives_late_does_not_turn_the_clock_back(leases: Leases) -> None:
    mine = session(leases)
    leases.renew(mine, 150.0)
    leases.renew(mine, 110.0)
    assert leases.expire(179.0) == []


def test_a_closed_session_leaves_its_jobs_to_others(store: Store, leases: Leases) -> None:
    leases.offer(RUN, [0, 1])
    lost, other = session(leases), session(leases)
    leases.lease(lost, 2)
    store.apply(RUN, Changes(moves=[Move(job=1, state=State.RUNNING, time=1.0, attempt=1)]))
    leases.expire(1000.0)
    store.apply(RUN, Changes(moves=[Move(job=1, state=State.RESTART_READY, time=2.0, attempt=1)]))
    leases.close_session(lost)
    other = session(leases, 1000.0)
    assert [(lease.job.id, lease.job.attempt) for lease in leases.lease(other, 9)] == [(0, 2), (1, 2)]
    with pytest.raises(SessionLost):
        leases.lease(lost, 1)
    leases.close_session(lost)
    assert len(leases.held(other)) == 2


def test_a_running_job_of_a_closed_session_waits_until_it_may_start_again(store: Store, leases: Leases) -> None:
    leases.offer(RUN, [0])
    lost = session(leases)
    leases.lease(lost, 1)
    store.apply(RUN, Changes(moves=[Move(job=0, state=State.RUNNING, time=1.0, attempt=1)]))
    leases.close_session(lost)
    other = session(leases)
    assert leases.lease(other, 1) == []
    store.apply(RUN, Changes(moves=[Move(job=0, state=State.RESTART_READY, time=2.0, attempt=1)]))
    assert [lease.job.attempt for lease in leases.lease(other, 1)] == [2]


def test_a_store_in_memory_has_no_leases() -> None:
    with pytest.raises(TypeError):
        leases_of(MemoryStore())
