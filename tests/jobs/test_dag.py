import itertools

import networkx
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.commands import Command
from cwlbalsam.jobs.dag import DagChange, NewJob, decode_change, encode_change, find_cycle, merged

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


def job(name: str, *after: int) -> NewJob:
    return NewJob(name, Command(argv=("true",), directory="/"), after)


@given(EDGES, EDGES)
def test_a_cycle_is_found_exactly_where_there_is_one(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    old = [(parent, child) for parent, child in old if parent < child]
    children: dict[int, list[int]] = {}
    for parent, child in old:
        children.setdefault(parent, []).append(child)
    cycle = find_cycle(new, lambda number: children.get(number, []))
    graph = networkx.DiGraph([*old, *new])
    assert bool(cycle) is not networkx.is_directed_acyclic_graph(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(graph.has_edge(*edge) for edge in itertools.pairwise(cycle))


def test_a_long_chain_is_searched_without_recursion() -> None:
    assert find_cycle([(50_000, 0)], lambda number: [number + 1] if number < 50_000 else [])[0] in (0, 50_000)


def test_two_changes_of_one_script_become_one() -> None:
    first = DagChange((job("a"), job("b", -1)), ((-1, 7),))
    second = DagChange((job("c", 7), job("d", -1)), ((-2, -1),), (-2, 9))
    both = merged(first, second)
    assert [(each.name, each.after) for each in both.jobs] == [("a", ()), ("b", (-1,)), ("c", (7,)), ("d", (-3,))]
    assert both.edges == ((-1, 7), (-4, -3))
    assert both.kills == (-4, 9)


def test_a_change_survives_its_way() -> None:
    change = DagChange((job("a", 3), job("b", -1)), ((-2, 4),), (5,))
    assert decode_change(encode_change(change)) == change
