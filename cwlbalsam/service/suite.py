"""Suites of CWL tests in cwltest's format: reading, choosing, running in parallel, judging."""

import fnmatch
import re
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from cwlbalsam.errors import EXIT_BUG, EXIT_UNSUPPORTED, UserError, did_you_mean
from cwlbalsam.service.logs import log_tail
from cwlbalsam.service.slots import Done, run_in_slots

Status = Literal["passed", "failed", "unsupported"]
LOG_LINES = 20
LOG_BYTES = 16_384


class SuiteTest(Struct, frozen=True, kw_only=True):
    """One test. number: its place in the whole suite, from 1. tool, job: paths, or URIs; job is empty if there is none.

    A test without tags is a required one.
    """

    number: int
    id: str
    tool: str
    job: str = ""
    doc: str = ""
    tags: tuple[str, ...] = ("required",)
    should_fail: bool = False
    output: Any = None
    line: int = 0


class Answer(Struct, frozen=True):
    """What a runner made of one test. bug: it broke, which is never the failure that a test asks for."""

    exit_code: int
    output: Any = None
    bug: bool = False


class Verdict(Struct, frozen=True, kw_only=True):
    """A test's result. reason: one line; difference: cwltest's words; log: the end of what the runner printed."""

    test: SuiteTest
    status: Status
    exit_code: int | None = None
    reason: str = ""
    difference: str = ""
    log: str = ""
    seconds: float = 0.0


class _Judged(Struct):
    status: Status
    exit_code: int
    reason: str = ""
    difference: str = ""


Executor = Callable[[SuiteTest, Path], Answer]
"""Runs a test with its outputs in the (existing, empty) folder; what it prints is kept with the test."""


# --- reading and choosing ------------------------------------------------------------------------------------------


def load_suite(path: Path) -> list[SuiteTest]:
    """Raises UserError for a file that is missing or no suite."""
    from cwltest.utils import load_and_validate_tests
    from schema_salad.exceptions import SchemaSaladException

    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        entries, _ = load_and_validate_tests(str(path.absolute()))
    except (SchemaSaladException, TypeError, ValueError, AttributeError) as error:  # it lets odd shapes through
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UserError("\n".join(lines), hint="a suite is a list of tests with tool, job and output") from None
    return [_read_test(number, entry) for number, entry in enumerate(entries, 1)]


def _read_test(number: int, entry: dict[str, Any]) -> SuiteTest:
    name = entry.get("short_name") or entry.get("label") or entry.get("id") or number
    return SuiteTest(
        number=number,
        id=[part for part in re.split("[/#]", str(name)) if part][-1],
        tool=_local_path(entry["tool"]),
        job=_local_path(entry.get("job") or ""),
        doc=" ".join((entry.get("doc") or "").split()),
        tags=tuple(entry.get("tags") or ["required"]),
        should_fail=bool(entry.get("should_fail")),
        output=entry.get("output"),
        line=int(entry.get("line", 0)) + 1,
    )


def _local_path(uri: str) -> str:
    """A `file://` URI as a path with its fragment; kept as it is where a path would be taken for another file."""
    location, hash_sign, fragment = uri.partition("#")
    path = unquote(location.removeprefix("file://"))
    return path + hash_sign + fragment if location.startswith("file:///") and "#" not in path else uri


def choose_tests(
    tests: Sequence[SuiteTest],
    *,
    names: str = "",
    tags: str = "",
    without_names: str = "",
    without_tags: str = "",
) -> list[SuiteTest]:
    """All four are lists with commas; names are ids, patterns of ids (`scatter*`), numbers or ranges (`1-10`)."""
    chosen = _numbers(tests, names) if names else {test.number for test in tests}
    chosen -= _numbers(tests, without_names) if without_names else set()
    wanted, unwanted = _known_tags(tests, tags), _known_tags(tests, without_tags)
    return [
        test
        for test in tests
        if test.number in chosen and (not wanted or wanted & set(test.tags)) and not unwanted & set(test.tags)
    ]


def _numbers(tests: Sequence[SuiteTest], names: str) -> set[int]:
    found: set[int] = set()
    for name in filter(None, (part.strip() for part in names.split(","))):
        numbers = {test.number for test in tests if test.id == name}
        if not numbers and (span := re.fullmatch(r"(\d+)(?:-(\d+))?", name)):
            numbers = set(range(int(span[1]), int(span[2] or span[1]) + 1)) & {test.number for test in tests}
        if not numbers:
            numbers = {test.number for test in tests if fnmatch.fnmatchcase(test.id, name)}
        if not numbers:
            raise _unknown("test", name, [test.id for test in tests])
        found |= numbers
    return found


def _known_tags(tests: Sequence[SuiteTest], tags: str) -> set[str]:
    known = {tag for test in tests for tag in test.tags}
    asked = {tag.strip() for tag in tags.split(",") if tag.strip()}
    for tag in sorted(asked - known):
        raise _unknown("tag", tag, sorted(known))
    return asked


def _unknown(kind: str, name: str, known: Sequence[str]) -> UserError:
    return UserError(f"the suite has no {kind} {name!r}", hint=did_you_mean(name, known))


# --- running -------------------------------------------------------------------------------------------------------


def run_suite(
    tests: Sequence[SuiteTest], execute: Executor, *, slots: int, timeout_seconds: float = 600.0
) -> Iterator[Verdict]:
    """Yields verdicts as tests end. Everything a test writes is removed; closing the iterator ends all that runs."""
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-test-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()

        def work(index: int) -> bytes:
            return msgspec.msgpack.encode(_run_one(tests[index], execute, root / f"out{index}"))

        for done in run_in_slots(work, len(tests), slots, timeout_seconds, root):
            yield _verdict(tests[done.index], done)
            done.log.unlink(missing_ok=True)


def _run_one(test: SuiteTest, execute: Executor, outdir: Path) -> _Judged:
    outdir.mkdir()
    try:
        answer = execute(test, outdir)
        return judge(test, answer)
    except Exception as error:
        traceback.print_exc()
        return _Judged("failed", EXIT_BUG, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(outdir, ignore_errors=True)


def judge(test: SuiteTest, answer: Answer) -> _Judged:
    """cwltest's rules: a required test may not be unsupported; where a failure is expected any will do, but no bug."""
    code = answer.exit_code
    if answer.bug:
        return _Judged("failed", code, f"the runner broke (exit code {code})")
    if code == EXIT_UNSUPPORTED and "required" not in test.tags:
        return _Judged("unsupported", code)
    if test.should_fail:
        return _Judged("passed", code) if code else _Judged("failed", code, "succeeded, but should fail")
    if code:
        unsupported = ": unsupported, but the test is a required one" if code == EXIT_UNSUPPORTED else ""
        return _Judged("failed", code, f"exit code {code}{unsupported}")
    from cwltest.compare import CompareFail, compare

    try:
        compare(test.output, answer.output if answer.output is not None else {})
    except CompareFail as error:
        return _Judged("failed", code, "the output differs", _innermost(error))
    return _Judged("passed", code)


def _innermost(error: BaseException) -> str:
    """cwltest repeats the whole output at every level; the last one names what differs."""
    message = str(error)
    keys = re.findall(r"(?:for key|field) '([^']*)'", message)
    while error.__cause__ is not None:
        error = error.__cause__
    where = ".".join(dict.fromkeys(keys))
    return f"{where}: {error}" if where else str(error)


def _verdict(test: SuiteTest, done: Done) -> Verdict:
    if done.answer is None:
        return Verdict(test=test, status="failed", reason=done.fault, log=_tail(done.log), seconds=done.seconds)
    judged = msgspec.msgpack.decode(done.answer, type=_Judged)
    return Verdict(
        test=test,
        status=judged.status,
        exit_code=judged.exit_code,
        reason=judged.reason,
        difference=judged.difference,
        log="" if judged.status == "passed" else _tail(done.log),
        seconds=done.seconds,
    )


def _tail(log: Path) -> str:
    text, _ = log_tail(str(log), LOG_BYTES)
    return "\n".join(text.splitlines()[-LOG_LINES:])
