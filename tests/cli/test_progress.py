import io
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from cwlbalsam.cli.live import chosen_steps, render
from cwlbalsam.cli.progress import LINES_IN_FULL, Progress
from cwlbalsam.cli.tally import Tally
from cwlbalsam.errors import Problem
from cwlbalsam.executor.events import Event, Interrupted, JobEnded, JobsAdded, JobStarted, RunEnded, RunStarted, Warned
from cwlbalsam.service.options import RunOptions

RUN = "0199e6a2-0001-7000-8000-000000000000"


def many(count: int, ending: str = "done", log: str = "") -> Iterable[Event]:
    yield RunStarted(RUN, "w.cwl")
    yield JobsAdded(count, {"s": count})
    for number in range(count):
        yield JobStarted(f"s[{number}]", number)
        error = "exit code 4" if ending == "failed" else ""
        yield JobEnded(f"s[{number}]", number, ending, error, log if ending == "failed" else "", 0.5)
    yield RunEnded(RUN, "finished", 9.0)


def lines_of(events: Iterable[Event], capsys: pytest.CaptureFixture[str], **options: bool) -> list[str]:
    with Progress(RunOptions(**options)) as progress:
        for event in events:
            progress.report(event)
    return capsys.readouterr().err.splitlines()


def test_few_jobs_have_a_line_each_and_many_have_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(many(2), capsys) == [
        f"run {RUN}: w.cwl",
        "job s[0] done (0.50 s)",
        "job s[1] done (0.50 s)",
        f"run {RUN} finished after 9.0s",
    ]
    lines = lines_of(many(10_000), capsys)
    assert len(lines) < LINES_IN_FULL + 10
    assert lines[-1] == f"run {RUN} finished after 9.0s: 10,000 of 10,000 jobs"


def test_a_failure_shows_what_was_printed_last_and_how_to_learn_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + "no \x1b[2Jtable\n")
    lines = lines_of(many(1, "failed", str(log)), capsys, quiet=True)
    assert lines[0] == "job s[0] failed: exit code 4"
    assert lines[-2:] == ["    | no  [2Jtable", "    more: cwlbalsam explain 0199e6a2-0001 's[0]'"]
    assert len(lines) == 22


def test_thousands_of_failures_are_not_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(many(5000, "failed"), capsys, quiet=True)
    assert len(lines) == 2 * LINES_IN_FULL + 1
    assert "cwlbalsam show 0199e6a2-0001 --jobs" in lines[-1]


def test_quiet_says_nothing_of_jobs_that_are_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(many(3), capsys, quiet=True) == []


def test_an_interrupt_says_what_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        JobsAdded(2, {"s": 2}),
        JobStarted("s[0]", 0),
        JobStarted("s[1]", 1),
        Interrupted(True),
        Interrupted(False),
    ]
    assert lines_of(events, capsys, quiet=True) == [
        "waiting for 2 running jobs to end; Ctrl-C again ends them now",
        "ending 2 running jobs now",
    ]


@pytest.mark.parametrize("status", ["interrupted", "killed", "finished"])
def test_a_run_that_was_stopped_tells_how_to_go_on_with_it(status: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of([RunStarted(RUN, "m"), RunEnded(RUN, status, 9.0)], capsys)
    assert ("cwlbalsam resume 0199e6a2-0001" in lines[-1]) == (status != "finished")


def test_news_of_a_site_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    events = [Warned(Problem("", "pilot 7: started after 2 s"), note=True), Warned(Problem("", "no pilot: refused"))]
    assert lines_of(events, capsys) == ["note: pilot 7: started after 2 s", "warning: no pilot: refused"]
    assert lines_of(events, capsys, quiet=True) == ["warning: no pilot: refused"]


def drawn(tally: Tally, height: int) -> str:
    console = Console(file=io.StringIO(), width=100, height=height, force_terminal=False)
    console.print(render(tally, height, 10.0))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_display_has_a_row_for_each_step() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(21, {"last": 1, "align/sort\x1b[2J[bold]": 20}))
    tally.start(JobStarted("align/sort\x1b[2J[bold]", 1), 1.0)
    tally.end(JobEnded("align/sort\x1b[2J[bold]", 0, "failed"), 2.0)
    heading, first, second, foot = drawn(tally, 30).splitlines()
    assert heading.split() == ["step", "done", "running", "failed"]
    assert first.startswith("align/sort [2J[bold]") and first.split()[-3:] == ["0/20", "1", "1"]
    assert second.startswith("last")
    assert foot.startswith("0 of 21 jobs, 1 running, 1 failed") and foot.rstrip().endswith("10.0s passed")


def test_steps_that_run_or_failed_are_shown_before_those_that_wait_or_are_done() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(100, {f"s{number}": 1 for number in range(100)}))
    for number in range(90):
        tally.start(JobStarted(f"s{number}", number), float(number))
        if number != 70:
            tally.end(JobEnded(f"s{number}", number, "failed" if number == 3 else "done"), float(number))
    shown, left = chosen_steps(tally, 5)
    assert [name for name, _ in shown] == ["s3", "s70", "s90", "s91", "s92"] and left == 95
    assert len(drawn(tally, 12).splitlines()) <= 11
