"""cwltool's own documents for loops, in both spellings, with the results that its tests expect."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.workplace import Workplace

DOCUMENTS = Path(str(files("cwltool"))) / "tests"
ONE, TWO, SCATTER = "single-var-loop-job.yml", "two-vars-loop-job.yml", "loop-inside-scatter-job.yml"
FIRST = "first,0-sha1$e445e7ebf0b1e19e5eb7f3e8e4d86f5424c4b103"
EXPECTED: list[tuple[str, str, dict[str, Any]]] = [
    ("single-var-loop", ONE, {"o1": 10}),
    ("single-var-loop-no-iteration", ONE, {"o1": None}),
    ("two-vars-loop", TWO, {"o1": 10}),
    ("two-vars-loop-2", TWO, {"o1": 10}),
    ("all-output-loop", ONE, {"o1": [2, 3, 4, 5, 6, 7, 8, 9, 10]}),
    ("all-output-loop-no-iteration", ONE, {"o1": []}),
    ("value-from-loop", TWO, {"o1": 10}),
    (
        "value-from-loop-2",
        "",
        {
            "result": [
                FIRST,
                "first,1-sha1$c2ee1cb0abf988529ae1d67c5a6798a9db9e133a",
                "first,2-sha1$7663c0076cdf1dbe14373237e8c2eea8735b04f2",
                "first,3-sha1$83b77de68c3c6cce92a381adc9159d6e59332545",
                "first,4-sha1$eb74efd51e4399144f465534f4077f515d996d57",
            ]
        },
    ),
    ("value-from-loop-3", "", {"result": [FIRST] * 5}),
    ("loop-inside-scatter", SCATTER, {"o1": [10, 10, 10, 10, 10]}),
    ("scatter-inside-loop", SCATTER, {"o1": [10, 11, 12, 13, 14]}),
    ("opt-var-loop", ONE, {"o1": 10}),
    ("loop-inside-loop", TWO, {"o1": [2, 3, 4]}),
    ("loop-inside-loop-all", TWO, {"o1": [[2], [2, 3], [2, 3, 4]]}),
    ("multi-source-loop", ONE, {"o1": [2, 3, 4, 5, 8, 11, 14, 17, 20]}),
    ("default-value-loop", ONE, {"o1": [8, 11, 14, 17, 20]}),
]
INVALID = [
    "loop/invalid-loop-scatter",
    "loop/invalid-no-loopWhen",
    "loop/invalid-value-from-loop-no-requirement",
    "loop/invalid-multi-source-loop-no-requirement",
    "loop-ext/invalid-loop-command-line-tool",
    "loop-ext/invalid-loop-expression-tool",
    "loop-ext/invalid-loop-hint",
    "loop-ext/invalid-loop-scatter",
    "loop-ext/invalid-loop-when",
    "loop-ext/invalid-loop-workflow",
    "loop-ext/invalid-multi-source-loop-no-requirement",
    "loop-ext/invalid-no-loopWhen",
    "loop-ext/invalid-value-from-loop-no-requirement",
]
FAILING = [
    "loop/invalid-loop-when-exception",
    "loop/invalid-loop-when-exception2",
    "loop/invalid-non-boolean-loopWhen",
    "loop/invalid-non-boolean-loopWhen2",
    "loop-ext/invalid-loop-when-exception",
    "loop-ext/invalid-non-boolean-loopWhen",
    "loop-ext/invalid-non-boolean-loopWhen2",
]


@pytest.mark.parametrize("folder", ["loop", "loop-ext"])
@pytest.mark.parametrize(("name", "job", "expected"), EXPECTED, ids=[entry[0] for entry in EXPECTED])
def test_a_loop_gives_what_cwltool_expects(
    place: Workplace, folder: str, name: str, job: str, expected: dict[str, Any]
) -> None:
    documents = DOCUMENTS / folder
    arguments = [documents / f"{name}.cwl", *([documents / job] if job else [])]
    called = place.call("--quiet", "--enable-dev", *arguments)
    assert (called.code, called.err) == (0, "")
    assert called.outputs == expected


def test_every_document_is_used() -> None:
    used = {f"{folder}/{name}" for folder in ("loop", "loop-ext") for name, _, _ in EXPECTED} | {*INVALID, *FAILING}
    assert {f"{path.parent.name}/{path.stem}" for path in DOCUMENTS.glob("loop*/*.cwl")} == used


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_loop_is_refused_with_its_place(place: Workplace, name: str) -> None:
    called = place.call("--enable-dev", "--validate", DOCUMENTS / f"{name}.cwl")
    assert called.code == 1
    assert "Traceback" not in called.err
    mistakes = [line for line in called.err.splitlines() if not line.startswith((" ", "warning: "))]
    assert mistakes
    assert all(mistake.startswith(f"{DOCUMENTS / name}.cwl:") for mistake in mistakes), called.err


@pytest.mark.parametrize("name", FAILING)
def test_a_condition_that_is_no_boolean_fails_the_run(place: Workplace, name: str) -> None:
    path = DOCUMENTS / f"{name}.cwl"
    called = place.call("--quiet", "--enable-dev", path, path.parent / TWO)
    assert called.code == 1
    assert f"{path}:" in called.err
    assert "Traceback" not in called.err


def test_a_loop_of_version_1_3_needs_enable_dev(place: Workplace) -> None:
    called = place.call("--validate", DOCUMENTS / "loop/single-var-loop.cwl")
    assert called.code == 1
    assert "--enable-dev" in called.err
