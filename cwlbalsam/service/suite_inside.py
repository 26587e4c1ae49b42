"""Runs a suite's tests by cwlbalsam itself, in the process that asks."""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from msgspec import structs

from cwlbalsam.errors import EXIT_BUG, UserError
from cwlbalsam.service.inputs import InputSource
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.suite import Answer, Executor, SuiteTest

VERSIONS = ("v1.0", "v1.1", "v1.2")
DEV_VERSION = "v1.3.0-dev1"


def inside_executor(options: RunOptions) -> Executor:
    """What all tests need is loaded here, once. Runs are kept in a home beside the test's outputs, not the user's."""
    from cwlbalsam.service.run import run_document

    _load_front_end(options.enable_dev)

    def execute(test: SuiteTest, outdir: Path) -> Answer:
        home = outdir.parent / f"home{os.getpid()}"
        asked = structs.replace(options, directory=str(Path.cwd()), outdir=str(outdir), home=str(home))
        try:
            result = run_document(test.tool, InputSource(file=test.job), asked)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
            return Answer(error.exit_code)
        except Exception:
            traceback.print_exc()
            return Answer(EXIT_BUG, bug=True)
        for failure in result.failures:
            print(f"{failure.name}: {failure.error}", file=sys.stderr, flush=True)
        return Answer(result.exit_code, result.outputs, bug=result.exit_code == EXIT_BUG)

    return execute


def _load_front_end(enable_dev: bool) -> None:
    """Compiling a tool of each version loads the versions' schemas, which every forked slot then has."""
    from cwlbalsam.parser.compile import compile_document
    from cwlbalsam.parser.options import CompileOptions

    with tempfile.TemporaryDirectory(prefix="cwlbalsam-test-") as folder:
        for version in (*VERSIONS, DEV_VERSION) if enable_dev else VERSIONS:
            tool = Path(folder, f"{version}.cwl")
            tool.write_text(f"{{cwlVersion: {version}, class: CommandLineTool, inputs: [], outputs: []}}")
            compile_document(str(tool), CompileOptions(enable_dev=enable_dev))
