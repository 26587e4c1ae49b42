"""How long a workflow of many steps of one tool takes to validate, in files and packed.

    python benchmarks/validate_steps.py [--steps 1000] [--cwltool]

Each measurement is a process of its own, its start included. `--cwltool` measures cwltool on the same documents
(packed, it needs minutes).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOL: dict[str, Any] = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "cat",
    "inputs": {"file": {"type": "File", "inputBinding": {}}},
    "outputs": {"copy": {"type": "stdout"}},
}


def workflow(steps: int, run: str) -> dict[str, Any]:
    """A chain of steps that all run the same tool."""
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"file": "File"},
        "steps": {
            f"s{number}": {
                "run": run,
                "in": {"file": f"s{number - 1}/copy" if number else "file"},
                "out": ["copy"],
            }
            for number in range(steps)
        },
        "outputs": {"copy": {"type": "File", "outputSource": f"s{steps - 1}/copy"}},
    }


def write_documents(folder: Path, steps: int) -> dict[str, Path]:
    """The same workflow in two files and in one."""
    version = {"cwlVersion": "v1.2"}
    bare = {key: value for key, value in TOOL.items() if key not in version}
    graph = [{"id": "tool", **bare}, {"id": "main", **workflow(steps, "#tool")}]
    graph[1].pop("cwlVersion")
    documents = {"tool.cwl": TOOL, "files": workflow(steps, "tool.cwl"), "packed": {**version, "$graph": graph}}
    paths = {name: folder / (name if name.endswith(".cwl") else f"{name}.cwl") for name in documents}
    for name, document in documents.items():
        paths[name].write_text(json.dumps(document, indent=1))
    return paths


def measure(command: list[str], home: Path) -> str:
    """Wall and CPU seconds of a command that must go well."""
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path, "CWLBALSAM_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{seconds:6.2f} s ({cpu_seconds:.2f} s of CPU)"


def main() -> None:
    """Prints one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--cwltool", action="store_true", help="measure cwltool too")
    options = parser.parse_args()
    ours = [sys.executable, "-c", "from cwlbalsam.cli.main import main; main()", "validate"]
    theirs = [sys.executable, "-m", "cwltool", "--validate", "--quiet"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_documents(folder, options.steps)
        for form in ("files", "packed"):
            document = str(paths[form])
            print(f"{options.steps} steps, {form:6}: {measure([*ours, document], folder / 'home')}", flush=True)
            print(f"{'':10} again: {measure([*ours, document], folder / 'home')}", flush=True)
            if options.cwltool:
                print(f"{'':8} cwltool: {measure([*theirs, document], folder)}", flush=True)


if __name__ == "__main__":
    main()
