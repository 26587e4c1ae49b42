from pathlib import Path

import pytest

from benchmarks.clusters.latency import delays
from benchmarks.clusters.mixed import Load, draw, least_seconds, write
from benchmarks.documents import write_nothing
from cwlbalsam.parser.cache import load_program
from cwlbalsam.parser.options import CompileOptions


def test_a_chain_has_a_delay_between_each_two_of_its_commands() -> None:
    seconds, found = delays(4, "local")
    assert len(found) == 3
    assert all(0 < delay < seconds for delay in found)


def test_no_schedule_beats_the_bound() -> None:
    assert least_seconds([Load(4, 4), Load(8, 2), Load(8, 2)]) == 12
    assert least_seconds([Load(30), Load(1, 4)]) == 30


def test_the_load_is_the_same_each_time_and_has_mpi_jobs_of_each_width() -> None:
    assert draw(72) == draw(72)
    assert sorted(load.nodes for load in draw(72) if load.nodes) == sorted([1, 2, 3, 4] * 3)


@pytest.mark.parametrize("width", [0, 3])
def test_a_load_is_a_tool_that_asks_for_its_cores(width: int, tmp_path: Path) -> None:
    files = write(tmp_path, [Load(5, width)])
    program = load_program(str(files.document), CompileOptions(), None).program
    assert any(process.requirements.time_limit == 50 for process in program.processes)


def test_jobs_without_processes_are_a_scatter_of_numbers(tmp_path: Path) -> None:
    files = write_nothing(tmp_path, 3)
    assert [path.name for path in files.arguments] == ["workflow.cwl", "inputs.json"]
