import sys
from pathlib import Path

import pytest

from benchmarks.measure import Sample, median_ratio, run_timed, summarise


def sample(wall: float, cpu: float = 0.0, peak: int = 0) -> Sample:
    return Sample(wall_seconds=wall, cpu_seconds=cpu, peak_bytes=peak, exit_code=0)


def test_a_summary_holds_medians_and_the_spread() -> None:
    found = summarise([sample(3.0, 1.0, 10), sample(1.0, 5.0, 30), sample(2.0, 3.0, 20)])
    assert (found.wall_seconds, found.least_seconds, found.most_seconds) == (2.0, 1.0, 3.0)
    assert (found.cpu_seconds, found.peak_bytes, found.samples) == (3.0, 20, 3)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summarise([])


def test_a_ratio_compares_runs_of_the_same_round() -> None:
    ours, theirs = [sample(1.0), sample(10.0), sample(2.0)], [sample(4.0), sample(30.0)]
    assert median_ratio(ours, theirs) == 3.5


def test_what_takes_too_long_is_ended_and_has_no_exit_code(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(60)"]
    found = run_timed(argv, environment={}, folder=tmp_path, timeout_seconds=0.5, output=tmp_path / "out")
    assert found.exit_code is None
    assert found.wall_seconds < 50


def test_the_memory_and_the_output_of_a_command_are_seen(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "b = b'x' * (64 << 20); print(len(b)); raise SystemExit(3)"]
    found = run_timed(argv, environment={}, folder=tmp_path, timeout_seconds=60, output=tmp_path / "out")
    assert found.exit_code == 3
    assert found.peak_bytes > 64 << 20
    assert (tmp_path / "out").read_text() == f"{64 << 20}\n"
