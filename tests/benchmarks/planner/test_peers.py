"""The peers are what their papers say, in small cases that can be checked by hand."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planner.bmbp import LEAST, Bmbp, rank
from benchmarks.planner.regressors import ernest, gaussian_process, least_squares
from benchmarks.planner.replay import conservative_start, easy_start
from benchmarks.planner.swf import read_log
from cwlbalsam.errors import UserError
from cwlbalsam.planner.models.observation import Setting


def test_a_job_that_fits_starts_at_once() -> None:
    assert easy_start(10, [(100.0, 4)], [(6, 50.0)]) == conservative_start(10, [(100.0, 4)], [(6, 50.0)]) == 0.0


def test_a_short_job_overtakes_and_a_long_one_that_would_delay_the_first_does_not() -> None:
    running, first = [(100.0, 6)], (10, 50.0)
    assert easy_start(10, running, [first, (4, 100.0)]) == 0.0
    assert easy_start(10, running, [first, (4, 101.0)]) == 150.0
    assert conservative_start(10, running, [first, (4, 101.0)]) == 150.0


@given(
    st.lists(st.tuples(st.floats(1, 1000), st.integers(1, 3)), max_size=3),
    st.lists(st.tuples(st.integers(1, 10), st.floats(1, 1000)), min_size=1, max_size=8),
)
def test_replays_always_come_to_an_end(running: list[tuple[float, int]], queue: list[tuple[int, float]]) -> None:
    last = sum(end for end, _ in running) + sum(wanted for _, wanted in queue)
    assert 0.0 <= easy_start(10, running, queue) <= last
    assert 0.0 <= conservative_start(10, running, queue) <= last


def test_59_waits_are_needed_for_a_bound_and_the_largest_is_it() -> None:
    assert rank(LEAST) == LEAST
    assert rank(1000) < 970


def test_three_misses_in_a_row_forget_the_past() -> None:
    bmbp = Bmbp()
    for _ in range(200):
        bmbp.learn(1.0, 1.0)
    for _ in range(3):
        bmbp.learn(100.0, 1.0)
    assert bmbp.bound() == 100.0


@pytest.mark.parametrize("peer", [least_squares, ernest, gaussian_process])
def test_regressors_find_a_law_of_their_kind(peer: object) -> None:
    seen = [Setting(nodes=n, input_bytes=s * 1e9) for n in (1, 2, 4, 8) for s in (1, 2, 4)]
    seconds = np.array([one.input_bytes / 1e7 / one.nodes for one in seen])
    found = peer(seen, seconds, [Setting(nodes=4, input_bytes=3e9)])  # type: ignore[operator]
    assert found[0] == pytest.approx(75, rel=0.1)


def test_a_broken_log_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.swf.gz"
    path.write_bytes(gzip.compress(b"; MaxProcs: 4\n1 0 0 5 1 -1 -1 1 10\n2 0 zero\n"))
    with pytest.raises(UserError, match=r"log\.swf\.gz:3: not a job"):
        read_log(path)


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.swf.gz"
    path.write_bytes(gzip.compress(b"; MaxProcs: 4\n"))
    with pytest.raises(UserError, match="no jobs"):
        read_log(path)
