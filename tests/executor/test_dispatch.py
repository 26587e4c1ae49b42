from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Grant, PilotKind, Task
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


# --- several nodes, and GPUs ---


def cluster(count: int, devices: tuple[str, ...] = ()) -> tuple[Dispatcher, list[Node]]:
    """A dispatcher with one worker on each node: worker n on node n."""
    dispatcher = Dispatcher()
    machine = Machine(4, 4096, 1 << 40, len(devices), devices=devices)
    nodes = [Node(Capacity(machine), f"n{number}") for number in range(count)]
    for number, node in enumerate(nodes):
        dispatcher.add_worker(number, node)
    return dispatcher, nodes


def wide(job: int, **asks: Any) -> Task:
    asked = Grant(ram=1, tmpdir=0, outdir=0, **asks)
    return Task(job=job, program="p", process=0, inputs={}, directory="", grant=asked)


def placed(dispatcher: Dispatcher) -> dict[int, Task]:
    return {task.job: task for batch in dispatcher.assign().values() for task in batch.tasks}


@pytest.mark.parametrize(
    ("asks", "hosts"),
    [
        ({"nodes": 2}, (("n0", 4), ("n1", 4))),
        ({"nodes": 2, "cores": 2}, (("n0", 2), ("n1", 2))),
        ({"nodes": 3, "ranks": 6}, (("n0", 2), ("n1", 2), ("n2", 2))),
        ({"nodes": 2, "ranks": 1}, (("n0", 1), ("n1", 0))),
        ({"ranks": 5}, (("n0", 4), ("n1", 1))),
    ],
)
def test_a_job_gets_the_nodes_that_it_asks_for(asks: dict[str, Any], hosts: tuple[tuple[str, int], ...]) -> None:
    dispatcher, nodes = cluster(3)
    dispatcher.add([wide(1, **asks)])
    assert placed(dispatcher)[1].hosts == hosts
    assert [node.capacity.is_idle for node in nodes if node.capacity] == [n >= len(hosts) for n in range(3)]
    dispatcher.finished(1, 1.0)
    assert all(node.capacity.is_idle for node in nodes if node.capacity)


def test_whole_nodes_are_waited_for_until_they_are_idle() -> None:
    dispatcher, _ = cluster(2)
    dispatcher.add([wide(1, cores=1)])
    placed(dispatcher)
    dispatcher.add([wide(2, nodes=2)])
    assert not placed(dispatcher)
    dispatcher.finished(1, 1.0)
    assert 2 in placed(dispatcher)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=30))
def test_no_gpu_is_given_to_two_jobs_at_the_same_time(asked: list[tuple[int, bool]]) -> None:
    dispatcher, nodes = cluster(2, devices=("a", "b", "c"))
    dispatcher.add([wide(job, gpus=gpus, cores=0.5) for job, (gpus, _) in enumerate(asked)])
    running: dict[int, Task] = {}
    while len(dispatcher):
        for worker, batch in dispatcher.assign().items():
            running |= {task.job: task for task in batch.tasks}
            assert all(len(task.devices) == task.grant.gpus for task in batch.tasks), worker
        for node in (0, 1):
            busy = [name for job, task in running.items() if dispatcher.worker_of(job) == node for name in task.devices]
            assert len(set(busy)) == len(busy)
        job = next(iter(running))
        del running[job]
        if asked[job][1]:
            worker = dispatcher.worker_of(job)
            assert worker is not None
            lost = dispatcher.drop_worker(worker)
            for task in lost:
                running.pop(task.job, None)
            dispatcher.add_worker(worker, nodes[worker])
        else:
            dispatcher.finished(job, 0.0)
    assert all(node.capacity.take_devices(9) == ("a", "b", "c") for node in nodes if node.capacity)


def test_jobs_go_to_the_pilots_of_their_kind() -> None:
    dispatcher, nodes = cluster(2)
    nodes[1].pilot = PilotKind(queue="big")
    dispatcher.add([wide(job, pilot=PilotKind(queue="big")) for job in range(3)])
    dispatcher.add([wide(job, pilot=PilotKind(queue="none")) for job in range(3, 6)])
    dispatcher.add([wide(job) for job in range(6, 9)])
    assert {worker: {task.job for task in batch.tasks} for worker, batch in dispatcher.assign().items()} == {
        0: {6, 7, 8},
        1: {0, 1, 2},
    }


def test_jobs_of_a_higher_priority_come_first() -> None:
    dispatcher, _ = cluster(1)
    asked = [wide(job, cores=4) for job in range(3)]
    dispatcher.add([replace(task, priority=float(task.job % 2)) for task in asked])
    order = []
    while len(dispatcher):
        (job,) = placed(dispatcher)
        order.append(job)
        dispatcher.finished(job, 1.0)
    assert order == [1, 0, 2]
