from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.dispatch import Dispatcher
from cwlbalsam.executor.placement import Node

CORES = 4


def make_task(job: int, cores: float = 1, ranks: int = 0, wall_seconds: float = 0.0) -> Task:
    grant = Grant(cores=cores, ram=0, tmpdir=0, outdir=0, ranks=ranks)
    return Task(job=job, program="", process=0, inputs={}, directory="", grant=grant, wall_seconds=wall_seconds)


def make_nodes(groups: Sequence[int]) -> list[Node]:
    """groups: nodes in each."""
    return [
        Node(Capacity(Machine(cores=CORES, ram=1, tmpdir=1)), f"{group}.{number}", group)
        for group, count in enumerate(groups)
        for number in range(count)
    ]


def make_dispatcher(nodes: Sequence[Node]) -> Dispatcher:
    dispatcher = Dispatcher()
    for number, node in enumerate(nodes):
        dispatcher.add_worker(number, node)
    return dispatcher


def cores_used(tasks: Sequence[Task], worker_of: dict[int, int], nodes: Sequence[Node]) -> dict[str, float]:
    used = {node.name: 0.0 for node in nodes}
    for task in tasks:
        for host, count in task.hosts or ((nodes[worker_of[task.job]].name, 1),):
            used[host] += task.grant.cores * count
    return used


@settings(max_examples=150)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from([1, 1, 2, 4]), st.sampled_from([0, 0, 0, 1, 3, 5, 8, 16])), max_size=40),
    st.lists(st.integers(0, 99), max_size=60),
)
def test_serial_and_mpi_tasks_share_nodes_without_ever_taking_too_much(
    groups: list[int], asked: list[tuple[int, int]], ends: list[int]
) -> None:
    nodes = make_nodes(groups)
    dispatcher = make_dispatcher(nodes)
    room = max(groups)
    tasks = [
        make_task(job, cores, ranks)
        for job, (cores, ranks) in enumerate(asked)
        if ranks == 0 or -(-ranks // (CORES // cores)) <= room
    ]
    dispatcher.add(tasks)
    there: dict[int, Task] = {}
    worker_of: dict[int, int] = {}
    done = 0
    steps = iter(ends)
    while done < len(tasks):
        for worker, batch in dispatcher.assign().items():
            for sent in batch.tasks:
                there[sent.job], worker_of[sent.job] = sent, worker
        running = [there[job] for job in there]
        assert running, "something runs as long as something waits"
        assert max(cores_used(running, worker_of, nodes).values()) <= CORES
        for task in running:
            hosts = [host for host, _ in task.hosts]
            assert sum(count for _, count in task.hosts) == task.grant.ranks
            assert len(set(hosts)) == len(hosts)
            assert len({host.partition(".")[0] for host in hosts}) <= 1, "all are of one group"
        ended = running[next(steps, 0) % len(running)]
        del there[ended.job]
        dispatcher.finished(ended.job, 10.0)
        done += 1
    assert all(node.capacity is not None and node.capacity.is_idle for node in nodes)


def test_nodes_run_empty_for_an_mpi_job_whose_turn_it_is_and_the_others_work_on() -> None:
    nodes = make_nodes([4])
    dispatcher = make_dispatcher(nodes)
    dispatcher.add([make_task(job) for job in range(16)])
    dispatcher.assign()
    dispatcher.add([make_task(100, ranks=8), *(make_task(job) for job in range(200, 300))])
    started: list[int] = []
    order = [job for place in range(4) for job in range(place, 16, 4)]  # one of each node in turn
    for number, job in enumerate(order, 1):
        dispatcher.finished(job, 10.0)
        started += [task.job for batch in dispatcher.assign().values() for task in batch.tasks]
        assert (100 in started) == (number >= 14), "two nodes had to be free"
    assert len([job for job in started if job >= 200]) >= 6, "the other two have worked on"


def test_a_task_that_cannot_end_in_time_is_not_started() -> None:
    now = 100.0
    dispatcher = Dispatcher(clock=lambda: now)
    (node,) = make_nodes([1])
    node.ends = 160.0
    dispatcher.add_worker(0, node)
    dispatcher.add([make_task(1, wall_seconds=100.0), make_task(2, wall_seconds=30.0), make_task(3)])
    assert [task.job for task in dispatcher.assign()[0].tasks] == [2, 3]
    now = 150.0
    dispatcher.add([make_task(4, wall_seconds=30.0)])
    assert dispatcher.assign() == {}


def test_a_closed_node_gets_nothing_more() -> None:
    nodes = make_nodes([2])
    dispatcher = make_dispatcher(nodes)
    nodes[0].closed = True
    dispatcher.add([make_task(job) for job in range(10)])
    assert list(dispatcher.assign()) == [1]


def test_the_room_of_each_mpi_job_is_its_own() -> None:
    nodes = make_nodes([4])
    dispatcher = make_dispatcher(nodes)
    dispatcher.add([make_task(job, ranks=8) for job in range(3)])
    (batch,) = [batch for batch in dispatcher.assign().values() if len(batch.tasks) == 1][:1]
    first = batch.tasks[0].job
    dispatcher.finished(first, 1.0)
    assert {host for batch in dispatcher.assign().values() for task in batch.tasks for host, _ in task.hosts} == {
        host for host, _ in batch.tasks[0].hosts
    }


def test_another_order_than_age_decides_what_comes_first() -> None:
    dispatcher = Dispatcher(order=lambda task: (-task.grant.cores,))
    (node,) = make_nodes([1])
    dispatcher.add_worker(0, node)
    dispatcher.add([make_task(1, 1), make_task(2, 2), make_task(3, 2)])
    assert [task.job for task in dispatcher.assign()[0].tasks] == [2, 3]
