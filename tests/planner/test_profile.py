from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.planner.profile import Profile

LENGTH = 60
REQUESTS = st.lists(st.tuples(st.integers(0, 25), st.integers(1, 9), st.integers(1, 3)), max_size=15)


def by_hand(free: list[int], ready: int, seconds: int, units: int) -> int:
    return next(at for at in range(ready, LENGTH * 4) if min(free[at : at + seconds]) >= units)


@given(REQUESTS, st.booleans())
def test_the_earliest_hole_is_found(requests: list[tuple[int, int, int]], hinted: bool) -> None:
    profile = Profile(3, opens=2.0)
    free = [0, 0] + [3] * LENGTH * 5
    keys: dict[tuple[int, int], int] = {}
    for ready, seconds, units in requests:
        key = keys.setdefault((seconds, units), len(keys)) if hinted else -1
        start = profile.earliest(float(ready), float(seconds), units, key)
        assert start == by_hand(free, ready, seconds, units)
        profile.take(start, start + seconds, units)
        for second in range(int(start), int(start) + seconds):
            free[second] -= units


def test_nothing_fits_beyond_the_closing() -> None:
    profile = Profile(1, opens=0.0, closes=10.0)
    assert profile.earliest(0.0, 11.0, 1) == float("inf")
    assert profile.earliest(0.0, 10.0, 1) == 0.0
    assert profile.earliest(1.0, 10.0, 1) == float("inf")
    assert profile.earliest(0.0, 1.0, 2) == float("inf")


def test_a_full_stretch_is_one_step() -> None:
    profile = Profile(4)
    for _ in range(1000):
        start = profile.earliest(0.0, 1.0, 1, key=0)
        profile.take(start, start + 1.0, 1)
    assert len(profile.times) <= 4
