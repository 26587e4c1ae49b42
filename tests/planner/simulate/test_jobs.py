import math

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.planner.problem import Duration, Job, Option, Problem, Site, Window, Work
from cwlbalsam.planner.simulate.jobs import tasks_of

QUARTER = Work("quarter", (Option(0, Duration(100.0), cores=1),))
WHOLE = Work("whole", (Option(0, Duration(60.0, 1.0), cores=4),))
NOTHING = Work("gather", (Option(0, Duration(0.0), nodes=0),))


def problem(*jobs: Job) -> Problem:
    return Problem(jobs=jobs, works=(QUARTER, WHOLE, NOTHING), sites=(Site("here", (Window(1),), cores=4),))


def test_alike_jobs_share_nodes_and_what_computes_nothing_takes_no_time() -> None:
    scatter = [Job(f"each[{number}]", 0) for number in range(9)]
    gather = Job("each", 2, after=tuple(range(9)))
    tasks = tasks_of(problem(*scatter, gather, Job("all", 1, after=(9,))))
    assert [(task.nodes, task.seconds, task.parents) for task in tasks[:3]] == [(1, 100, ())] * 3
    assert tasks[3].parents == (0, 1, 2)
    assert tasks[3].seconds == 60 * math.exp(0.5)
    assert tasks[3].most_seconds > 60 * math.exp(1.5)


def test_parents_may_be_listed_after_their_children() -> None:
    tasks = tasks_of(problem(Job("second", 1, after=(1,)), Job("first", 1)))
    assert [task.parents for task in tasks] == [(), (0,)]


@given(st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 30), max_size=3)), max_size=30))
def test_tasks_come_after_their_parents_and_hold_all_jobs(made: list[tuple[int, set[int]]]) -> None:
    jobs = [
        Job(str(number), work, after=tuple(parent for parent in parents if parent < number))
        for number, (work, parents) in enumerate(made)
    ]
    tasks = tasks_of(problem(*jobs))
    assert all(parent < number for number, task in enumerate(tasks) for parent in task.parents)
    quarters = sum(job.work == 0 for job in jobs)
    wholes = sum(job.work == 1 for job in jobs)
    assert wholes + math.ceil(quarters / 4) <= len(tasks) <= wholes + quarters
