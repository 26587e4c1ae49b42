"""`cwlbalsam test`: run a suite of CWL tests."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from cwlbalsam.cli.tables import Number
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.suite import Executor, SuiteTest, Verdict, choose_tests, load_suite, run_suite
from cwlbalsam.service.suite_report import count_by_tag, write_cwltest_reports, write_json

SLOTS_PER_CORE = 3  # tests wait much: for processes, for files, some sleep


@click.command("test")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "-n", "--names", metavar="TESTS", default="", help="Only these: ids, patterns, numbers, ranges (1-10,13)."
)
@click.option("--tags", metavar="TAGS", default="", help="Only tests with one of these tags.")
@click.option("--exclude", metavar="TESTS", default="", help="Not these; as for -n.")
@click.option("--exclude-tags", metavar="TAGS", default="", help="No test with one of these tags.")
@click.option("--list", "only_list", is_flag=True, help="List the tests and stop.")
@click.option(
    "-j", "--parallel", "slots", type=click.IntRange(1), default=None, metavar="N", help="Tests at the same time."
)
@click.option("--timeout", type=Number(0, min_open=True), default=600.0, show_default=True, metavar="SECONDS")
@click.option("--tool", metavar="COMMAND", default="", help="Run each test by this cwl-runner, not by cwlbalsam.")
@click.option("--docker", "engine", flag_value="docker", help="Use Docker.")
@click.option("--podman", "engine", flag_value="podman", help="Use Podman.")
@click.option("--singularity", "engine", flag_value="singularity", help="Use Singularity or Apptainer.")
@click.option("--udocker", "engine", flag_value="udocker", help="Use udocker.")
@click.option("--no-container", "engine", flag_value="none", help="Use no container, even where one is recommended.")
@click.option("--site", default="", metavar="NAME", help="Where tools run: a site of sites.yml. [default: here]")
@click.option("--enable-dev", is_flag=True, help="Allow development versions of CWL.")
@click.option("--junit-xml", type=click.Path(path_type=Path), help="Write a JUnit report.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all results as JSON.")
@click.option("--badges", type=click.Path(path_type=Path, exists=False), help="Make a folder of badges, one a tag.")
@click.option("--verbose", is_flag=True, help="Tell of each test as it ends.")
def command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    suite: Path,
    names: str,
    tags: str,
    exclude: str,
    exclude_tags: str,
    only_list: bool,
    slots: int | None,
    timeout: float,
    tool: str,
    verbose: bool,
    junit_xml: Path | None,
    json_file: Path | None,
    badges: Path | None,
    engine: str | None,
    enable_dev: bool,
    site: str,
) -> None:
    """Run the tests of SUITE, a file in cwltest's format, in parallel.

    Exit code 1 if a test fails. A test that needs what is not supported (exit code 33) is listed, but does not fail,
    unless it is tagged `required` or has no tags.

    \b
    cwlbalsam test suite.yaml
    cwlbalsam test suite.yaml --tags scatter --exclude 'slow_*' -j 4 --junit-xml results.xml
    cwlbalsam test suite.yaml -n 1-10,sum_of_rows --verbose
    """
    tests = load_suite(suite)
    chosen = choose_tests(tests, names=names, tags=tags, without_names=exclude, without_tags=exclude_tags)
    if only_list:
        _list(chosen)
        return
    started = time.monotonic()
    verdicts: list[Verdict] = []
    slots = slots or SLOTS_PER_CORE * (os.cpu_count() or 1)
    for verdict in run_suite(chosen, _executor(tool, engine, enable_dev, site), slots=slots, timeout_seconds=timeout):
        verdicts.append(verdict)
        _tell(verdict, len(verdicts), len(chosen), suite.absolute().parent, verbose)
    verdicts.sort(key=lambda verdict: verdict.test.number)
    seconds = time.monotonic() - started
    if json_file:
        write_json(verdicts, json_file, seconds)
    if junit_xml or badges:
        write_cwltest_reports(verdicts, suite, junit_xml, badges)
    _summarise(verdicts, seconds)
    if any(verdict.status == "failed" for verdict in verdicts):
        sys.exit(EXIT_FAILED)


def _executor(tool: str, engine: str | None, enable_dev: bool, site: str) -> Executor:
    if tool:
        from cwlbalsam.service.suite_tool import command_executor

        return command_executor(shlex.split(tool))
    from cwlbalsam.service.home import find_home
    from cwlbalsam.service.options import AUTO, RunOptions
    from cwlbalsam.service.suite_inside import inside_executor

    options = RunOptions(engine=engine or AUTO, enable_dev=enable_dev, quiet=True, workers=1)
    return inside_executor(replace(options, site=site, sites_home=str(find_home().path)) if site else options)


def _list(tests: Sequence[SuiteTest]) -> None:
    width = max((len(test.id) for test in tests), default=0)
    for test in tests:
        click.echo(f"{test.number:4}  {test.id:{width}}  {test.doc}  [{', '.join(test.tags)}]")


def _tell(verdict: Verdict, ended: int, total: int, base: Path, verbose: bool) -> None:
    live = sys.stderr.isatty() and not verbose
    if live:
        click.echo(f"\r\033[K[{ended}/{total}] {verdict.test.id}", err=True, nl=ended == total)
    elif verbose:
        click.echo(f"[{ended}/{total}] {verdict.status} {verdict.test.id} ({verdict.seconds:.2f} s)", err=True)
    if verdict.status == "failed":
        click.echo(("\r\033[K" if live else "") + describe_failure(verdict, base), err=True)


def describe_failure(verdict: Verdict, base: Path) -> str:
    """Several lines: the test, its documents, what is wrong, and the end of the runner's messages."""
    test = verdict.test
    lines = [f"FAILED {test.number} {test.id}: {test.doc}", f"    tool: {_short(test.tool, base)}"]
    if test.job:
        lines.append(f"    job:  {_short(test.job, base)}")
    lines.append(f"    {verdict.reason}")
    lines += [f"      {line}" for line in verdict.difference.splitlines()]
    lines += [f"    | {line}" for line in verdict.log.splitlines()]
    return "\n".join(lines)


def _short(path: str, base: Path) -> str:
    return path.removeprefix(f"{base}/")


def _summarise(verdicts: Sequence[Verdict], seconds: float) -> None:
    counts = count_by_tag(verdicts)
    width = max(map(len, counts))
    click.echo(f"{'tag':{width}}  passed  failed  unsupported")
    for tag, count in counts.items():
        click.echo(f"{tag:{width}}  {count['passed']:6}  {count['failed']:6}  {count['unsupported']:11}")
    for status in ("unsupported", "failed"):
        ids = [verdict.test.id for verdict in verdicts if verdict.status == status]
        if ids:
            click.echo(f"{status}: {', '.join(ids)}")
    count = counts["all"]
    click.echo(
        f"{count['passed']} passed, {count['failed']} failed, {count['unsupported']} unsupported in {seconds:.1f} s"
    )
