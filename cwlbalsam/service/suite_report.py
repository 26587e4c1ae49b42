"""What a suite's verdicts add up to: counts by tag, JUnit XML, badges, JSON."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.errors import EXIT_UNSUPPORTED
from cwlbalsam.service.suite import Verdict


def count_by_tag(verdicts: Sequence[Verdict]) -> dict[str, Counter[str]]:
    """Tag -> status -> tests, by tag; `all` comes last."""
    counts: dict[str, Counter[str]] = {tag: Counter() for tag in sorted({t for v in verdicts for t in v.test.tags})}
    counts["all"] = Counter()
    for verdict in verdicts:
        for tag in {*verdict.test.tags, "all"}:
            counts[tag][verdict.status] += 1
    return counts


def write_json(verdicts: Sequence[Verdict], path: Path, seconds: float) -> None:
    """Everything known of every test but the output that it expects."""
    tests = [
        {
            "number": verdict.test.number,
            "id": verdict.test.id,
            "tags": verdict.test.tags,
            "status": verdict.status,
            "exit_code": verdict.exit_code,
            "seconds": round(verdict.seconds, 3),
            "reason": verdict.reason,
            "difference": verdict.difference,
            "log": verdict.log,
        }
        for verdict in verdicts
    ]
    document = {"seconds": round(seconds, 3), "counts": count_by_tag(verdicts), "tests": tests}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def write_cwltest_reports(
    verdicts: Sequence[Verdict], suite: Path, junit_xml: Path | None = None, badges: Path | None = None
) -> None:
    """JUnit XML and badges exactly as cwltest writes them, by its own functions. The badges' folder is made."""
    import junit_xml as junit
    from cwltest.utils import generate_badges, parse_results

    report = junit.TestSuite(suite.stem, [])
    _, _, _, _, total, passed, failed, unsupported, _ = parse_results(
        [_cwltest_result(verdict, suite) for verdict in verdicts],
        [_cwltest_entry(verdict) for verdict in verdicts],
        suite.stem,
        report,
    )
    if junit_xml is not None:
        with junit_xml.open("w", encoding="utf-8") as stream:
            junit.to_xml_report_file(stream, [report])
    if badges is not None:
        generate_badges(str(badges), total, passed, failed, unsupported)


def _cwltest_result(verdict: Verdict, suite: Path) -> Any:
    from cwltest.utils import TestResult

    codes = {"passed": 0, "failed": 1, "unsupported": EXIT_UNSUPPORTED}
    message = f"{verdict.reason}\n{verdict.difference}".strip()
    return TestResult(
        codes[verdict.status],
        "",
        verdict.log,
        verdict.seconds,
        suite.stem,
        f"{suite.name}#L{verdict.test.line}",
        verdict.test.tool,
        verdict.test.job or None,
        message,
    )


def _cwltest_entry(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.test.id,
        "short_name": verdict.test.id,
        "doc": verdict.test.doc,
        "tags": list(verdict.test.tags),
    }
