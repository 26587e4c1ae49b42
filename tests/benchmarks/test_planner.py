"""The peers that the planner is measured against, and what the graphs are read from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planner.data import parse_graph
from benchmarks.planner.graphs import graph_problem
from benchmarks.planner.peers import PEERS, Case
from benchmarks.planner.workflows import as_plan, make_problem
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.schedule import make_plan

GRAPH = """  2
 0 0 0
 1 5 1 0
 2 3 1 0
 3 0 2 1 2
# a comment
"""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    tasks = draw(st.integers(1, 10))
    times = st.floats(0.1, 10)
    parents = [
        tuple((parent, draw(times)) for parent in draw(st.sets(st.integers(0, task - 1), max_size=3))) if task else ()
        for task in range(tasks)
    ]
    seconds = [[draw(times) for _ in range(3)] for _ in range(tasks)]
    apart = [[0.0 if a == b else draw(times) for b in range(3)] for a in range(3)]
    return Case(seconds, parents, apart)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_every_peer_makes_a_valid_schedule_and_ours_is_not_worse_than_heft(case: Case) -> None:
    problem = make_problem(case)
    for run in PEERS.values():
        schedule = run(case)
        assert faults(problem, as_plan(problem, case, schedule)) == []
    ours = make_plan(problem, Effort(evaluations=100, seconds=float("inf")))
    assert faults(problem, ours) == []
    assert ours.makespan <= PEERS["HEFT"](case).makespan * (1 + 1e-9)


def test_a_task_graph_is_read() -> None:
    graph = parse_graph("g", GRAPH)
    assert graph.seconds == (0.0, 5.0, 3.0, 0.0)
    assert make_plan(graph_problem(graph, 1)).makespan == 8.0
    assert make_plan(graph_problem(graph, 2)).makespan == 5.0


@pytest.mark.parametrize("broken", [GRAPH.replace("2 1 2", "3 1 2"), GRAPH.replace(" 1 5", " 7 5"), "2\n0 x 0"])
def test_a_broken_task_graph_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"is no task|invalid literal"):
        parse_graph("g", broken)
