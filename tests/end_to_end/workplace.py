"""A temporary home, output directory and current directory in which real documents run."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cli.cwl_runner import main
from cwlbalsam.service.inputs import InputSource
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.run import RunResult, run_document

ROOT = Path(__file__).resolve().parents[2]
HOW_TO_START = {
    "runner": "from cwlbalsam.cli.cwl_runner import main; import sys; sys.exit(main())",
    "cwlbalsam": "from cwlbalsam.cli.main import main; main()",
}


@dataclass(frozen=True)
class Called:
    """What a command line has led to."""

    code: int
    out: str
    err: str

    @property
    def outputs(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """The lines that name a mistake; there must be no traceback beside them."""
        assert "Traceback" not in self.err, self.err
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


@dataclass(frozen=True)
class Workplace:
    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def call(self, *arguments: str | Path) -> Called:
        """The runner's command line, in this process."""
        self.capture.readouterr()
        code = main(["--outdir", str(self.out), *map(str, arguments)])
        told = self.capture.readouterr()
        return Called(code, told.out, told.err)

    def run(self, document: str | Path, inputs: dict[str, Any] | None = None, **options: Any) -> RunResult:
        """`inputs` go through a job file; `options` are those of RunOptions."""
        source = InputSource()
        if inputs is not None:
            source = InputSource(file=str(self.write("inputs.json", json.dumps(inputs))))
        return run_document(str(document), source, RunOptions(**({"outdir": str(self.out)} | options)))

    def outputs(self, document: str | Path, inputs: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """The output object of a run that must go well."""
        result = self.run(document, inputs, **options)
        assert (result.exit_code, result.failures) == (0, [])
        assert result.outputs is not None
        return result.outputs

    def command(self, *arguments: str | Path, entry: str = "runner", python: tuple[str, ...] = ()) -> list[str]:
        """The argv of a process of its own."""
        return [sys.executable, *python, "-c", HOW_TO_START[entry], *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "CWLBALSAM_HOME": str(self.home)}

    def start(self, *arguments: str | Path, entry: str = "runner", python: tuple[str, ...] = ()) -> Called:
        """The same in a process of its own."""
        done = subprocess.run(
            self.command(*arguments, entry=entry, python=python),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Called(done.returncode, done.stdout, done.stderr)
