from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.dispatch import PASSES, Dispatcher
from cwlbalsam.executor.placement import Node


def grant(cores: float) -> Grant:
    return Grant(cores=cores, ram=0, tmpdir=0, outdir=0)


def task(job: int, cores: float) -> Task:
    return Task(job=job, program="", process=0, inputs={}, directory="", grant=grant(cores))


class Worker:
    """What a worker does with its batches: never more than `limit` of a grant at once, oldest first."""

    def __init__(self) -> None:
        self.limits: dict[Grant, int] = {}
        self.tasks: list[Task] = []

    def running(self) -> list[Task]:
        seen: dict[Grant, int] = {}
        running = []
        for waiting in self.tasks:
            seen[waiting.grant] = seen.get(waiting.grant, 0) + 1
            if seen[waiting.grant] <= self.limits[waiting.grant]:
                running.append(waiting)
        return running


def deliver(dispatcher: Dispatcher, workers: dict[int, Worker]) -> None:
    for number, batch in dispatcher.assign().items():
        workers[number].limits.update(batch.limits)
        workers[number].tasks += batch.tasks


def used(workers: dict[int, Worker]) -> float:
    return sum(running.grant.cores for worker in workers.values() for running in worker.running())


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([0.5, 1, 1, 1, 2, 4]), max_size=60),
    st.lists(st.tuples(st.integers(0, 99), st.floats(0, 0.2)), max_size=20),
    st.lists(st.integers(0, 59), max_size=5),
)
def test_every_task_runs_once_and_never_beyond_the_cores(
    sizes: list[float], ends: list[tuple[int, float]], cancelled: list[int]
) -> None:
    dispatcher, node = Dispatcher(), Node(Capacity(Machine(cores=4, ram=1, tmpdir=1)))
    workers = {1: Worker(), 2: Worker()}
    for number in workers:
        dispatcher.add_worker(number, node)
    dispatcher.add([task(job, cores) for job, cores in enumerate(sizes)])
    dropped, _ = dispatcher.cancel(cancelled)
    done = [gone.job for gone in dropped]
    steps = iter(ends)
    while len(done) < len(sizes):
        deliver(dispatcher, workers)
        assert used(workers) <= 4
        choice, seconds = next(steps, (0, 0.001))
        running = [(worker, busy) for worker in workers.values() for busy in worker.running()]
        assert running, "something runs as long as something waits"
        worker, ended = running[choice % len(running)]
        worker.tasks.remove(ended)
        done.append(ended.job)
        dispatcher.finished(ended.job, seconds)
    assert sorted(done) == list(range(len(sizes)))
    assert len(dispatcher) == 0


def test_a_big_task_is_not_starved_by_small_ones() -> None:
    dispatcher, node = Dispatcher(), Node(Capacity(Machine(cores=2, ram=1, tmpdir=1)))
    worker = Worker()
    dispatcher.add_worker(1, node)
    dispatcher.add([task(0, 1), task(1, 2), *(task(job, 1) for job in range(2, 5000))])
    for _ in range(3 * PASSES):
        deliver(dispatcher, {1: worker})
        if any(there.job == 1 for there in worker.tasks):
            return
        first = worker.tasks.pop(0)
        dispatcher.finished(first.job, 0.001)
    raise AssertionError("starved")


def test_long_tasks_are_not_sent_ahead() -> None:
    dispatcher, node = Dispatcher(), Node(Capacity(Machine(cores=1, ram=1, tmpdir=1)))
    dispatcher.add_worker(1, node)
    dispatcher.add([task(job, 1) for job in range(5)])
    for job in range(4):
        assert [there.job for there in dispatcher.assign()[1].tasks] == [job]
        dispatcher.finished(job, 5.0)


def test_the_tasks_of_a_dead_worker_free_their_grants() -> None:
    dispatcher, node = Dispatcher(), Node(Capacity(Machine(cores=2, ram=1, tmpdir=1)))
    dispatcher.add_worker(1, node)
    dispatcher.add([task(0, 2), task(1, 2)])
    dispatcher.assign()
    assert [lost.job for lost in dispatcher.drop_worker(1)] == [0]
    dispatcher.add_worker(2, node)
    assert [there.job for there in dispatcher.assign()[2].tasks] == [1]
