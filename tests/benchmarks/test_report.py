import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.compare import Row
from benchmarks.documents import write_nested
from benchmarks.experiments import EXPERIMENTS
from benchmarks.measure import Sample
from benchmarks.plot import draw
from benchmarks.report import Machine, Result, markdown, table

MEASURED = ("leases", "applies")
OF_PILOTS = ("latency", "launchers", "mixed")
MACHINE = Machine(cores=2, memory_gib=24.0, kernel="Linux 6", python="3.11.7", file_system="ext4", load=0.5)


def sample(wall: float) -> Sample:
    return Sample(wall_seconds=wall, cpu_seconds=wall / 2, peak_bytes=32 << 20, exit_code=0)


def rows() -> list[Row]:
    return [
        Row(case="scatter", jobs=1000, runner="cwlbalsam", samples=[sample(2.0)]),
        Row(case="scatter", jobs=1000, runner="cwltool", samples=[sample(8.0)]),
        Row(case="scatter", jobs=1000, runner="toil", trouble="unfinished after 600 s"),
    ]


def result() -> Result:
    return Result(
        experiment="scatter",
        title="A command for each of <many> words",
        command="python -m benchmarks scatter",
        date="2026-01-01",
        machine=MACHINE,
        versions={"cwltool": "3.1", "floor": ""},
        rows=rows(),
    )


def test_a_table_tells_times_ratios_and_who_was_given_up() -> None:
    ours, theirs, lost = table(rows())[2:]
    assert ours == "| scatter | 1,000 | cwlbalsam | 2.000 | 2.00-2.00 | 1.00 | 2 | 1.00 | 32 | 1 |"
    assert "| 8.000 | 8.00-8.00 | 4.00 |" in theirs
    assert "unfinished after 600 s" in lost
    assert lost.count("|") == ours.count("|")


def test_what_else_runners_tell_has_columns_of_its_own() -> None:
    told = Row(case="chain", jobs=2, runner="cwlbalsam", samples=[sample(2.0)] * 3, figures={"p95 ms": [9.0, 8.5, 7.0]})
    head, line, ours, other = table([told, *rows()[:1]])
    assert head.endswith("| rounds | p95 ms |")
    assert ours.endswith("| 3 | 8.5 |")
    assert other.endswith("| 1 |  |")
    assert len({each.count("|") for each in (head, line, ours, other)}) == 1


def test_a_page_names_the_machine_the_peers_and_the_command() -> None:
    page = markdown(result())
    assert "2 cores, 24 GiB, Linux 6, Python 3.11.7, ext4, load 0.5" in page
    assert "- cwltool 3.1\n" in page
    assert "`python -m benchmarks scatter`" in page


def test_a_plot_is_xml_with_one_bar_for_each_time() -> None:
    root = ET.fromstring(draw(result()))
    bars = [bar for bar in root if bar.tag.endswith("rect") and bar.get("x")]
    widths = [float(bar.get("width", "")) for bar in bars]
    assert len(widths) == 2
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.01)


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - {"passthrough", *MEASURED, *OF_PILOTS}))
def test_every_experiment_writes_what_it_names(name: str, tmp_path: Path) -> None:
    for case in EXPERIMENTS[name].make(tmp_path, 4):
        assert case.files is not None
        assert case.files.document.is_file()
        assert case.jobs in (1, 4, 5, 8)


def test_nested_scatters_have_as_many_words_as_there_are_jobs(tmp_path: Path) -> None:
    files = write_nested(tmp_path, 6)
    assert files.inputs is not None
    assert files.inputs.read_text().count('"w') == 6


@pytest.mark.parametrize("name", MEASURED)
def test_a_module_that_tells_its_own_time_checks_what_it_has_done(name: str, tmp_path: Path) -> None:
    case = EXPERIMENTS[name].make(tmp_path, 100)[0]
    one_client = ["--clients", "1"] if name == "leases" else []
    told = subprocess.run([sys.executable, "-m", *case.module, *one_client], check=True, capture_output=True)
    assert json.loads(told.stdout)["jobs"] == case.jobs == 100
