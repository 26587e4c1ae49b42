"""The loops of CWL v1.3.0-dev1 and of cwltool's extension: cwltool's own documents, with the outputs it expects."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.run_suite import not_passed, run_suite

pytestmark = pytest.mark.suite

ONE, TWO, SCATTER = "single-var-loop-job.yml", "two-vars-loop-job.yml", "loop-inside-scatter-job.yml"
HASHES = (
    "first,0-sha1$e445e7ebf0b1e19e5eb7f3e8e4d86f5424c4b103",
    "first,1-sha1$c2ee1cb0abf988529ae1d67c5a6798a9db9e133a",
    "first,2-sha1$7663c0076cdf1dbe14373237e8c2eea8735b04f2",
    "first,3-sha1$83b77de68c3c6cce92a381adc9159d6e59332545",
    "first,4-sha1$eb74efd51e4399144f465534f4077f515d996d57",
)
OUTPUTS: dict[str, tuple[str, Any]] = {
    "single-var-loop": (ONE, {"o1": 10}),
    "single-var-loop-no-iteration": (ONE, {"o1": None}),
    "two-vars-loop": (TWO, {"o1": 10}),
    "two-vars-loop-2": (TWO, {"o1": 10}),
    "all-output-loop": (ONE, {"o1": [2, 3, 4, 5, 6, 7, 8, 9, 10]}),
    "all-output-loop-no-iteration": (ONE, {"o1": []}),
    "value-from-loop": (TWO, {"o1": 10}),
    "value-from-loop-2": ("", {"result": [*HASHES]}),
    "value-from-loop-3": ("", {"result": [HASHES[0]] * 5}),
    "loop-inside-scatter": (SCATTER, {"o1": [10, 10, 10, 10, 10]}),
    "scatter-inside-loop": (SCATTER, {"o1": [10, 11, 12, 13, 14]}),
    "opt-var-loop": (ONE, {"o1": 10}),
    "loop-inside-loop": (TWO, {"o1": [2, 3, 4]}),
    "loop-inside-loop-all": (TWO, {"o1": [[2], [2, 3], [2, 3, 4]]}),
    "multi-source-loop": (ONE, {"o1": [2, 3, 4, 5, 8, 11, 14, 17, 20]}),
    "default-value-loop": (ONE, {"o1": [8, 11, 14, 17, 20]}),
}
"""Document -> its job and outputs; the same for both spellings. Documents named `invalid-*` should fail."""


def loop_tests(folder: Path) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.cwl")):
        test: dict[str, Any] = {"id": path.stem, "tool": str(path), "doc": path.stem, "tags": ["required"]}
        if path.stem.startswith("invalid-"):
            job = ONE if "multi-source" in path.stem else TWO
            test["should_fail"] = True
        else:
            job, test["output"] = OUTPUTS[path.stem]
        tests.append({**test, "job": str(folder / job)} if job else test)
    return tests


@pytest.mark.parametrize("spelling", ["loop", "loop-ext"])
def test_loops_of_cwltools_own_tests_give_the_outputs_it_expects(spelling: str, tmp_path: Path) -> None:
    tests = loop_tests(Path(str(files("cwltool"))) / "tests" / spelling)
    assert {test["id"] for test in tests} >= OUTPUTS.keys()
    suite = tmp_path / "loops.yaml"
    suite.write_text(json.dumps(tests))
    report = run_suite(suite, tmp_path / "results.json", "--no-container", "--enable-dev")
    assert not_passed(report) == set()
