"""What a run ends with."""

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from msgspec import Raw, Struct

from cwlbalsam.cwl.packed import unpack
from cwlbalsam.cwl.records import WorkflowProcess
from cwlbalsam.cwl.relocation import Ownership
from cwlbalsam.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED
from cwlbalsam.executor.live import Failure
from cwlbalsam.jobs.model import Changes, Move, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.parser.cache import Loaded
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.output_object import spell_out
from cwlbalsam.service.run_folders import reuse_folder
from cwlbalsam.store import Store

UNFINISHED = frozenset(State) - FINAL


class RunResult(Struct, kw_only=True):
    """packed: the output object; of a failed run what there is of it, None if it was interrupted."""

    run: str
    exit_code: int
    packed: dict[str, Raw] | None
    failures: list[Failure] = []

    @property
    def outputs(self) -> dict[str, Any] | None:
        """The output object as it is shown to people."""
        return None if self.packed is None else spell_out(unpack(self.packed))


def exit_code(failures: Iterable[Failure], interrupted: bool) -> int:
    if interrupted:
        return EXIT_INTERRUPTED
    if any(failure.bug for failure in failures):
        return EXIT_BUG
    return EXIT_FAILED if list(failures) else 0


def drop_obsolete(store: Store, run: str, jobs: Collection[int]) -> None:
    """Jobs that an edit has taken out of the workflow wait for nothing any more. jobs: that it still has."""
    now = time.time()
    left = [job for job in store.jobs(run, UNFINISHED) if job.id not in jobs]
    moves = [
        Move(job=job.id, state=State.USER_KILLED, time=now, attempt=job.attempt, message="no longer asked for")
        for job in left
    ]
    store.apply(run, Changes(moves=moves))


def files_of_document(loaded: Loaded) -> list[Any]:
    """Values with the Files of a document: what inputs are when nothing is given, and the document itself."""
    processes = loaded.program.processes
    defaults = [field.default for process in processes for field in process.inputs]
    steps = [step for process in processes if isinstance(process, WorkflowProcess) for step in process.steps]
    links = [link.default for step in steps for link in step.inputs]
    return [*defaults, *links, *({"class": "File", "location": uri} for uri in loaded.files)]


def ownership_of(folder: Path, options: RunOptions, home: Home) -> Ownership:
    """folder: of the run."""
    if options.outputs == "copy":
        return Ownership("")
    reuse = reuse_folder(options, home)
    return Ownership(os.path.realpath(folder), (os.path.realpath(reuse),) if reuse else ())
