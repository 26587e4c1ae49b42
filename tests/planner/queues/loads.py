"""Made-up loads for tests of rules and machines."""

from hypothesis import strategies as st

from cwlbalsam.planner.queues.requests import Request

NODES = 8


@st.composite
def loads(draw: st.DrawFn, most: int = 30) -> list[Request]:
    """Arrivals in order, dense enough that they wait; whole numbers, so that ends and arrivals coincide.

    None at 0.0: as the start of a batch job that says it has not started.
    """
    requests, now = [], 1
    for number in range(draw(st.integers(1, most))):
        now += draw(st.integers(0, 6))
        wall = draw(st.integers(1, 20))
        seconds = draw(st.one_of(st.just(wall), st.integers(1, wall)))
        requests.append(Request(f"job {number}", draw(st.integers(1, NODES)), wall, now, seconds))
    return requests
