"""Runs a suite's tests by any command that follows the cwl-runner convention."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cwlbalsam.errors import EXIT_BUG
from cwlbalsam.service.suite import Answer, Executor, SuiteTest


def command_executor(command: Sequence[str]) -> Executor:
    """Each test is `command --outdir=DIR --quiet tool [job]`; a bug is an output that is no JSON object."""

    def execute(test: SuiteTest, outdir: Path) -> Answer:
        argv = [*command, f"--outdir={outdir}", "--quiet", test.tool, *([test.job] if test.job else [])]
        try:
            ended = subprocess.run(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", flush=True)
            return Answer(EXIT_BUG, bug=True)
        if ended.returncode:
            return Answer(ended.returncode)
        try:
            return Answer(0, json.loads(ended.stdout or b"{}"))
        except ValueError:
            print(f"the runner's output is no JSON: {ended.stdout[:500]!r}", flush=True)
            return Answer(0, bug=True)

    return execute
