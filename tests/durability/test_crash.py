"""A small number of the kills that `python -m tests.durability.crash --kills 200` makes."""

from pathlib import Path

from tests.durability.crash import crash


def test_killed_runs_are_resumed_to_the_same_outputs_and_nothing_recorded_runs_again(tmp_path: Path) -> None:
    summary = crash(8, 3, tmp_path)
    assert summary.kills.total() == 8
