"""What holds for every store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from cwlbalsam.errors import IllegalTransition, UserError
from cwlbalsam.jobs.links import Figures
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.memory import MemoryStore

RUN = "0199e6a2-0000-7000-8000-000000000001"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        made: Store = MemoryStore()
    elif request.param == "sqlite":
        made = open_store(tmp_path)
    else:
        made = open_store(request.getfixturevalue("empty_postgres"))
    made.put_program("digest", b"program")
    yield made
    made.close()


def run_record(run_id: str = RUN, **fields: object) -> RunRecord:
    given = {"name": "w", "document": "w.cwl", "program": "digest", "created": 1.0, "directory": "/d", "host": "h"}
    return RunRecord(**{"id": run_id, **given, **fields})  # type: ignore[arg-type]


def job(number: int, name: str, state: State = State.READY) -> BalsamJob:
    return BalsamJob(
        id=number, name=name, kind="job", process=1, step=(0, number) if number else None, inputs=b"in", state=state
    )


def three_jobs() -> Changes:
    waiting = State.AWAITING_PARENTS
    jobs = [job(0, "a"), job(1, "b/sort[0]", waiting), job(2, "b/sort[1]", waiting)]
    return Changes(jobs=jobs, edges=[(0, 1), (0, 2)])


def moves(number: int, *states: State, outcome: bytes | None = None) -> Changes:
    made = [Move(job=number, state=state, time=float(i), attempt=1) for i, state in enumerate(states, 5)]
    made[-1].outcome = outcome
    return Changes(moves=made)


def test_a_run_and_its_jobs_are_read_as_they_were_written(store: Store) -> None:
    record = run_record(inputs=b"i", options=b"o", pid=3, outdir="/out")
    store.create_run(record, three_jobs())
    assert store.run(RUN) == record
    assert store.edges(RUN) == [(0, 1), (0, 2)]
    a, b, c = store.jobs(RUN)
    assert (a.name, a.step, a.waiting_for, b.step, b.waiting_for) == ("a", None, 0, (0, 1), 1)
    assert (c.inputs, c.state, c.outcome) == (b"in", State.AWAITING_PARENTS, None)


def test_moves_change_the_job_and_add_to_its_history(store: Store) -> None:
    store.create_run(run_record(), three_jobs())
    store.apply(RUN, moves(0, State.RUNNING, State.JOB_FINISHED, outcome=b"out"))
    a = store.job(RUN, "a")
    assert (a.state, a.attempt, a.outcome, a.updated) == (State.JOB_FINISHED, 1, b"out", 6.0)
    assert [(entry.job, entry.state, entry.time) for entry in store.events(RUN)] == [
        (0, State.RUNNING, 5.0),
        (0, State.JOB_FINISHED, 6.0),
    ]
    assert store.events(RUN, since=store.events(RUN)[0].seq) == store.events(RUN)[1:]
    assert [waiting.waiting_for for waiting in store.jobs(RUN)] == [0, 0, 0]


def test_jobs_are_added_and_moved_in_one_transaction(store: Store) -> None:
    store.create_run(run_record(), three_jobs())
    grown = moves(3, State.RUNNING)
    grown.jobs, grown.edges = [job(3, "c")], [(2, 3)]
    store.apply(RUN, grown)
    assert store.counts(RUN) == {State.READY: 1, State.AWAITING_PARENTS: 2, State.RUNNING: 1}


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (moves(0, State.RUNNING), "job 0 is JOB_FINISHED, asked to move to RUNNING"),
        (moves(9, State.RUNNING), "job 9 is not in the run"),
        (moves(3, State.FAILED, State.RUNNING), "job 3 is FAILED, asked to move to RUNNING"),
    ],
)
def test_a_refused_move_undoes_its_whole_transaction(store: Store, refused: Changes, message: str) -> None:
    store.create_run(run_record(), three_jobs())
    store.apply(RUN, moves(0, State.JOB_FINISHED))
    before = store.jobs(RUN), store.events(RUN), store.edges(RUN)
    changes = moves(1, State.READY)
    changes.moves += refused.moves
    changes.jobs, changes.edges = [job(3, "c")], [(0, 3)]
    with pytest.raises(IllegalTransition, match=message):
        store.apply(RUN, changes)
    assert (store.jobs(RUN), store.events(RUN), store.edges(RUN)) == before
    store.apply(RUN, moves(1, State.READY))


def test_jobs_are_found_by_state_and_by_a_glob_in_which_brackets_are_plain(store: Store) -> None:
    store.create_run(run_record(), three_jobs())
    assert [found.id for found in store.jobs(RUN, {State.READY})] == [0]
    assert [found.id for found in store.jobs(RUN, name="b/sort[*]")] == [1, 2]
    assert [found.id for found in store.jobs(RUN, {State.AWAITING_PARENTS}, "*[1]")] == [2]
    assert store.job(RUN, 2).name == "b/sort[1]"
    with pytest.raises(LookupError):
        store.job(RUN, "b")


def test_runs_are_listed_newest_first_and_found_by_a_unique_prefix(store: Store) -> None:
    ids = [f"0199e6a2-000{n}-7000-8000-000000000000" for n in range(3)]
    for run_id in ids:
        store.create_run(run_record(run_id), Changes())
    store.finish_run(ids[1], "finished", outputs=b"x", ended=2.0)
    assert [run.id for run in store.runs()] == ids[::-1]
    assert [run.id for run in store.runs(limit=1)] == ids[:1:-1]
    assert [(run.id, run.outputs) for run in store.runs(status=["finished", "failed"])] == [(ids[1], None)]
    assert store.run("0199e6a2-0001").outputs == b"x"
    with pytest.raises(UserError, match=f"3 runs have ids that begin with '0199'\n    {ids[0]}"):
        store.run("0199")
    for unknown in ("", "ffff", "%", "0199e6a2-0001*"):
        with pytest.raises(UserError, match="no run has an id"):
            store.run(unknown)


def test_an_interrupted_run_is_claimed_by_another_process(store: Store) -> None:
    store.create_run(run_record(pid=1), three_jobs())
    store.finish_run(RUN, "interrupted", ended=2.0, message="by you")
    seen = store.run(RUN)
    claim = msgspec.structs.replace(seen, pid=2, claimed=3.0, document="edited.cwl")
    store.claim_run(seen, claim)
    with pytest.raises(UserError, match="taken over or ended by another process"):
        store.claim_run(seen, claim)
    run = store.run(RUN)
    assert (run.status, run.pid, run.claimed, run.ended, run.message) == ("running", 2, 3.0, 0.0, "")
    assert run.document == "edited.cwl"
    store.apply(RUN, moves(0, State.RUNNING))
    assert store.counts(RUN)[State.RUNNING] == 1


def test_counts_are_by_kind_if_asked_and_the_same_after_the_run_has_ended(store: Store) -> None:
    changes = three_jobs()
    changes.jobs[1].kind = "gather"
    store.create_run(run_record(), changes)
    for _ in range(2):
        assert store.counts(RUN) == {State.READY: 1, State.AWAITING_PARENTS: 2}
        assert store.counts(RUN, "job") == {State.READY: 1, State.AWAITING_PARENTS: 1}
        store.finish_run(RUN, "finished", ended=2.0)


def test_a_removed_run_leaves_nothing_but_a_program_that_others_may_be_about_to_use(store: Store) -> None:
    store.create_run(run_record(), three_jobs())
    store.apply(RUN, moves(0, State.RUNNING))
    last = store.events(RUN)[-1].seq
    store.remove_run(RUN)
    assert store.runs() == []
    assert store.get_program("digest") == b"program"
    with pytest.raises(UserError, match="no run"):
        store.jobs(RUN)
    store.create_run(run_record(), three_jobs())
    store.apply(RUN, moves(0, State.RUNNING))
    assert store.events(RUN)[0].seq > last


def test_programs_no_run_used_for_a_day_go_with_the_next_removed_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_run(run_record(), Changes())
    with monkeypatch.context() as earlier:
        earlier.setattr("time.time", lambda: 1.0)
        store.put_program("old", b"")
        store.put_program("digest", b"")
    store.put_program("new", b"")
    assert store.get_program("digest") == b"program"
    store.remove_run(RUN)
    store.get_program("new")
    for digest in ("old", "digest"):
        with pytest.raises(LookupError):
            store.get_program(digest)


def test_a_run_whose_jobs_cannot_be_written_is_not_created(store: Store) -> None:
    broken = three_jobs()
    broken.moves = [Move(job=9, state=State.RUNNING, time=1.0)]
    with pytest.raises(IllegalTransition):
        store.create_run(run_record(), broken)
    assert store.runs() == []


def test_threads_may_share_a_store(store: Store) -> None:
    if isinstance(store, MemoryStore):
        pytest.skip("it is for one thread")
    store.create_run(run_record(), Changes(jobs=[job(n, f"a[{n}]") for n in range(8)]))

    def write(number: int) -> None:
        for attempt in range(20):
            store.apply(RUN, Changes(moves=[Move(job=number, state=State.RUNNING, time=1.0, attempt=attempt)]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    for number in range(8):
        attempts = [event.attempt for event in store.events(RUN) if event.job == number]
        assert attempts == list(range(20))


def test_what_links_can_do_is_kept_and_replaced(store: Store) -> None:
    figures = Figures(latency_seconds=1.0, file_seconds=2.0, bytes_per_second=3.0, samples=4, learned=5.0)
    store.put_links({})
    assert store.links() == {}
    store.put_links({("a", "b", "rsync"): figures, ("a", "b", "scp"): figures})
    newer = msgspec.structs.replace(figures, samples=5, learned=6.0)
    store.put_links({("a", "b", "scp"): newer})
    assert store.links() == {("a", "b", "rsync"): figures, ("a", "b", "scp"): newer}
