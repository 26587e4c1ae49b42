from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cwlbalsam.planner.packing import Demand, Thrift, best_shape, fill, node_seconds, order, pack, without


@st.composite
def demands(draw: st.DrawFn) -> list[Demand]:
    made = []
    for _ in range(draw(st.integers(0, 5))):
        seconds = draw(st.integers(1, 100))
        most = seconds + draw(st.integers(0, 30))
        made.append(
            Demand(nodes=draw(st.integers(1, 8)), seconds=seconds, most_seconds=most, count=draw(st.integers(1, 5)))
        )
    return order(made)


def jobs(wanted: list[Demand] | tuple[Demand, ...]) -> int:
    return sum(demand.count for demand in wanted)


@given(demands(), st.integers(1, 20), st.integers(1, 300))
def test_what_is_packed_fits_and_nothing_is_lost(wanted: list[Demand], nodes: int, wall: int) -> None:
    packing = pack(nodes, wall, wanted)
    assert packing.jobs + jobs(packing.left) == jobs(wanted)
    assert abs(packing.node_seconds + node_seconds(packing.left) - node_seconds(wanted)) < 1e-6
    assert packing.seconds <= packing.wall_seconds <= wall
    assert packing.node_seconds <= nodes * packing.seconds
    assert packing.share(nodes) <= 1
    if any(demand.nodes <= nodes and demand.most_seconds <= wall for demand in wanted):
        assert packing.jobs


@given(demands(), st.integers(1, 20), st.integers(1, 300), st.integers(1, 4))
def test_the_best_shape_is_within_the_hole_and_as_useful_as_was_asked(
    wanted: list[Demand], nodes: int, seconds: int, least: int
) -> None:
    shape = best_shape(nodes, seconds, wanted, least, Thrift(useful=0.8, spare=0, start_seconds=5))
    if shape:
        assert least <= shape.nodes <= nodes
        assert shape.wall_seconds <= seconds
        assert shape.packing.node_seconds >= 0.8 * shape.nodes * (shape.packing.seconds + 5) - 1e-6


@given(demands(), st.integers(1, 20), st.integers(1, 300), st.integers(1, 100))
def test_plenty_of_work_fills_what_it_is_asked_to(wanted: list[Demand], nodes: int, wall: int, times: int) -> None:
    much = [structs.replace(demand, count=demand.count * times) for demand in wanted]
    packing = fill(nodes, wall, much)
    assert packing.jobs + jobs(packing.left) == jobs(much)
    assert packing.node_seconds <= nodes * packing.seconds
    assert packing.seconds <= packing.wall_seconds <= wall


def test_a_hole_that_is_too_wide_for_the_work_is_filled_in_part() -> None:
    wanted = [Demand(nodes=1, seconds=600, most_seconds=700, count=10)]
    shape = best_shape(50, 3600, wanted, 1, Thrift(spare=0, start_seconds=30))
    assert shape is not None
    assert (shape.nodes, shape.wall_seconds, shape.packing.jobs) == (10, 730, 10)


def test_a_hole_that_is_too_short_for_the_work_is_left_alone() -> None:
    assert best_shape(50, 600, [Demand(nodes=1, seconds=500, most_seconds=600)], 1, Thrift(useful=0.1)) is None


@given(demands(), st.floats(0, 1e6))
def test_what_others_take_is_missing(wanted: list[Demand], taken: float) -> None:
    left = without(wanted, taken)
    assert node_seconds(left) >= node_seconds(wanted) - taken - 1e-6
    assert jobs(left) <= jobs(wanted)
    if taken >= node_seconds(wanted) > 0:
        assert left == []
