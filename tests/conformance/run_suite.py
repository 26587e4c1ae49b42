"""Runs a suite by `cwlbalsam test`, as a user does, and reads its report."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

BIN = Path(sysconfig.get_path("scripts"))


def run_suite(suite: Path, results: Path, *options: str) -> dict[str, Any]:
    """The JSON report, whether tests fail or not."""
    command = [str(BIN / "cwlbalsam"), "test", str(suite), "--json", str(results), *options]
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(ended.stdout, file=sys.stderr)
    assert ended.returncode in {0, 1}
    return dict(json.loads(results.read_bytes()))


def not_passed(report: dict[str, Any]) -> set[str]:
    """Ids of the tests that failed or are unsupported."""
    return {test["id"] for test in report["tests"] if test["status"] != "passed"}
