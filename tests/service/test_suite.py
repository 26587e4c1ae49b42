"""Suites run with executors of the tests' own: what is chosen, how it is judged, what a broken test leaves alone."""

import os
import signal
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.suite import Answer, SuiteTest, Verdict, choose_tests, judge, load_suite, run_suite
from cwlbalsam.service.suite_report import count_by_tag, write_cwltest_reports
from cwlbalsam.service.suite_tool import command_executor

SUITE = """
- $import: more/index.yaml
- id: second
  tool: tool.cwl#main
  output: {answer: 42}
  tags: [workflow, scatter]
- id: third
  tool: colon%3Atool.cwl
  should_fail: true
"""


def make_tests(*names: str) -> list[SuiteTest]:
    return [SuiteTest(number=number, id=name, tool="t.cwl", output={}) for number, name in enumerate(names, 1)]


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/index.yaml").write_text("- {id: first, tool: tool.cwl, job: job.yml, output: {}}\n")
    for name in ("more/tool.cwl", "more/job.yml", "tool.cwl", "colon:tool.cwl"):
        (tmp_path / name).touch()
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    return path


def test_a_suite_is_read_with_the_suites_that_it_imports(suite_file: Path) -> None:
    first, second, third = load_suite(suite_file)
    here = suite_file.parent
    assert (first.id, first.tool, first.job, first.tags) == (
        "first",
        str(here / "more/tool.cwl"),
        str(here / "more/job.yml"),
        ("required",),
    )
    assert (second.tool, second.output, second.tags) == (
        f"{here}/tool.cwl#main",
        {"answer": 42},
        ("workflow", "scatter"),
    )
    assert (third.tool, third.should_fail, third.number) == (str(here / "colon:tool.cwl"), True, 3)


def test_a_file_that_is_no_suite_is_the_users_mistake(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("- {id: a, tool: [1], color: red}\n")
    with pytest.raises(UserError, match="tool"):
        load_suite(path)
    with pytest.raises(UserError, match="no such file"):
        load_suite(tmp_path / "none.yaml")


def test_tests_are_chosen_by_id_pattern_number_range_and_tag(suite_file: Path) -> None:
    tests = load_suite(suite_file)

    def ids(**options: str) -> list[str]:
        return [test.id for test in choose_tests(tests, **options)]

    assert ids(names="third,1") == ["first", "third"]
    assert ids(names="2-9") == ["second", "third"]
    assert ids(names="*ir*", without_names="first") == ["third"]
    assert ids(tags="scatter") == ["second"]
    assert ids(without_tags="required") == ["second"]
    with pytest.raises(UserError, match="did you mean 'second'"):
        ids(names="secnd")


@pytest.mark.parametrize(
    ("answer", "should_fail", "tags", "status"),
    [
        (Answer(0, {"a": 1}), False, ("x",), "passed"),
        (Answer(0, {"a": 2}), False, ("x",), "failed"),
        (Answer(0, {"a": 1, "b": 2}), False, ("x",), "failed"),
        (Answer(1), False, ("x",), "failed"),
        (Answer(33), False, ("x",), "unsupported"),
        (Answer(33), False, ("x", "required"), "failed"),
        (Answer(1), True, ("x",), "passed"),
        (Answer(0, {"a": 1}), True, ("x",), "failed"),
        (Answer(3, bug=True), True, ("x",), "failed"),
    ],
)
def test_a_test_is_judged_by_cwltests_rules(
    answer: Answer, should_fail: bool, tags: tuple[str, ...], status: str
) -> None:
    test = SuiteTest(number=1, id="t", tool="t.cwl", output={"a": 1}, should_fail=should_fail, tags=tags)
    assert judge(test, answer).status == status


def test_a_broken_a_crashed_and_a_stuck_test_fail_alone(tmp_path: Path) -> None:
    def execute(test: SuiteTest, outdir: Path) -> Answer:
        (outdir / "made").write_text(test.id)
        if test.id == "raises":
            raise RuntimeError("out of order")
        if test.id == "crashes":
            print("last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if test.id == "sticks":
            time.sleep(60)
        return Answer(0, {})

    tests = make_tests("a", "raises", "b", "crashes", "c", "sticks", "d", "e")
    verdicts = {verdict.test.id: verdict for verdict in run_suite(tests, execute, slots=2, timeout_seconds=2)}
    assert sorted(name for name in verdicts if verdicts[name].status == "passed") == ["a", "b", "c", "d", "e"]
    assert "out of order" in verdicts["raises"].reason
    assert "SIGKILL" in verdicts["crashes"].reason
    assert verdicts["crashes"].log == "last words"
    assert "not finished after 2 s" in verdicts["sticks"].reason


def test_stopping_early_ends_the_tests_that_run(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def execute(test: SuiteTest, outdir: Path) -> Answer:
        if test.id == "slow":
            note.write_text(str(os.getpid()))
            time.sleep(60)
        while not note.exists():
            time.sleep(0.01)
        return Answer(0, {})

    verdicts = run_suite(make_tests("slow", "fast"), execute, slots=2)
    assert next(iter(verdicts)).test.id == "fast"
    verdicts.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_any_cwl_runner_can_be_tested(tmp_path: Path) -> None:
    runner = tmp_path / "runner.py"
    runner.write_text(
        "import sys, json\nprint('hello', file=sys.stderr)\nassert sys.argv[2] == '--quiet'\n"
        "sys.exit(7) if 'bad' in sys.argv[3] else print(json.dumps({'outdir': sys.argv[1][:9]}))\n"
    )
    tests = [
        SuiteTest(number=1, id="good", tool="good.cwl", output={"outdir": "--outdir="}),
        SuiteTest(number=2, id="bad", tool="bad.cwl", output={}),
    ]
    good, bad = sorted(
        run_suite(tests, command_executor([sys.executable, str(runner)]), slots=1), key=lambda found: found.test.number
    )
    assert (good.status, bad.status, bad.exit_code, bad.log) == ("passed", "failed", 7, "hello")


def test_reports_count_every_test_under_each_of_its_tags(tmp_path: Path) -> None:
    tests = [
        SuiteTest(number=number, id=f"t{number}", tool="t.cwl", tags=tags, doc="words")
        for number, tags in enumerate([("a",), ("a", "b"), ("b",)], 1)
    ]
    verdicts = [
        Verdict(test=tests[0], status="passed"),
        Verdict(test=tests[1], status="failed", reason="the output differs"),
        Verdict(test=tests[2], status="unsupported"),
    ]
    counts = count_by_tag(verdicts)
    assert counts["a"] == {"passed": 1, "failed": 1}
    assert counts["all"].total() == 3
    write_cwltest_reports(verdicts, tmp_path / "suite.yaml", tmp_path / "junit.xml", tmp_path / "badges")
    [suite] = ElementTree.parse(tmp_path / "junit.xml").iter("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert (tmp_path / "badges/all.json").is_file()
