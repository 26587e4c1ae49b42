"""Running a document, from its name and inputs to its output object, and resuming what was not finished."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.cwl.command_jobs import COMMANDS, ENCODED
from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.errors import UserError
from cwlbalsam.executor.containers import container_prefix
from cwlbalsam.executor.events import Reporter, Silent, Warned
from cwlbalsam.executor.pool import SCRATCH_PREFIX
from cwlbalsam.executor.recovery import end_survivors, hold_alive
from cwlbalsam.jobs.commands import COMMAND
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.parser.cache import Loaded, load_program
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.service.inputs import InputSource, JobOrder, check_inputs, load_inputs, read_job_file
from cwlbalsam.service.leftovers import clean_up, undo_moves
from cwlbalsam.service.local import LocalRun
from cwlbalsam.service.logs import KeepLogs
from cwlbalsam.service.masking import secrets_of
from cwlbalsam.service.options import Asked, RunOptions
from cwlbalsam.service.overrides import compile_options
from cwlbalsam.service.requests import Requests
from cwlbalsam.service.resumed import Resumed, remember
from cwlbalsam.service.run_end import RunResult
from cwlbalsam.service.run_folders import make_writable
from cwlbalsam.service.run_sites import sites_of
from cwlbalsam.service.settings import choose_engine
from cwlbalsam.service.targets import narrow
from cwlbalsam.sites.containers import kill_containers
from cwlbalsam.store import Store, open_store

__all__ = ["RunResult", "resume_run", "run_document"]
QUEUE = Loaded(COMMANDS, ENCODED, warnings=(), cached=True)
"""What a run of commands alone is loaded from."""


def run_document(
    document: str,
    inputs: InputSource | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> RunResult:
    """Compile and run a document. Raises UserError for what is wrong before anything runs."""
    options, inputs = options or RunOptions(), inputs or InputSource()
    reporter = _with_logs(options, reporter or Silent())
    home = find_home(options.home)
    loaded, order, compiling = load(document, inputs, options, home)
    for warning in (*loaded.warnings, *order.warnings):
        reporter.report(Warned(warning))
    check_inputs(loaded.program, order.values, order)
    run = LocalRun(document, loaded, order.values, Asked(options=options, compiling=compiling), home, reporter)
    return run.run()


def resume_run(
    prefix: str,
    home: Home,
    changes: dict[str, Any],
    document: str = "",
    reporter: Reporter | None = None,
    requests: Requests | None = None,
) -> RunResult:
    """Take up a run that was interrupted, failed or lost its coordinator.

    changes: options that are now different. document: an edited one to go on with. Jobs whose process, step and inputs
    are what they were, and whose files are there, keep what they ended with.
    """
    with closing(open_store(home.path)) as store:
        record = store.run(prefix)
        folder = Path(record.directory)
        if not folder.is_dir():
            if record.status == "finished" and not document:
                return _finished(record)
            raise UserError(f"nothing is left of run {record.id}: {folder} is gone", hint="run the document again")
        alive = hold_alive(folder)
        try:
            record = store.run(record.id)  # another process may have ended it before we had the lock
            if record.status == "finished" and not document:
                _clean_up_after(record)
                return _finished(record)
            return _taken_up(store, record, home, changes, document, reporter or Silent(), requests).run(store)
        finally:
            os.close(alive)


def _taken_up(
    store: Store,
    record: RunRecord,
    home: Home,
    changes: dict[str, Any],
    document: str,
    reporter: Reporter,
    requests: Requests | None,
) -> LocalRun:
    """The rest of a run, once nothing of its earlier part is left running or half done."""
    asked = msgspec.msgpack.decode(record.options, type=Asked)
    options = msgspec.structs.replace(asked.options, **changes)
    document = document or record.document
    folder = Path(record.directory)
    if record.program == COMMANDS.digest:
        loaded = QUEUE
    else:
        loaded = _narrowed(load_program(document, asked.compiling, home.programs), options)
    values = msgspec.msgpack.decode(record.inputs)
    if secrets_of(loaded.program, values):
        raise UserError(f"run {record.id} had secret inputs, which are not kept", hint="run the document again")
    check_inputs(loaded.program, values)
    elsewhere: list[Outcome] = []
    if (sites := sites_of(asked.options, home, loaded.program)).sites:
        from cwlbalsam.service.run_places import ended_at_sites

        elsewhere = ended_at_sites(sites, asked.options, home, record)
    end_survivors(folder)
    if engine := choose_engine(loaded.program.processes, options):
        kill_containers(engine, container_prefix(record.id))
    _remove_scratch(folder)
    if record.status != "finished":
        undo_moves(folder)
    resumed = Resumed(record=record, memory=remember(store, record, elsewhere))
    resumed.added = [job for job in store.jobs(record.id) if job.process == COMMAND]
    resumed.edges = store.edges(record.id) if resumed.added else []
    asked = Asked(options=options, compiling=asked.compiling)
    return LocalRun(document, loaded, values, asked, home, _with_logs(options, reporter), resumed, requests)


def _clean_up_after(record: RunRecord) -> None:
    """A run may have been killed between its end in the store and the end of its folder."""
    folder = Path(record.directory)
    end_survivors(folder)
    _remove_scratch(folder)
    if not msgspec.msgpack.decode(record.options, type=Asked).options.keep:
        clean_up(folder)


def _remove_scratch(folder: Path) -> None:
    for scratch in folder.glob(f"{SCRATCH_PREFIX}*"):
        remove_tree(str(scratch))


def _finished(record: RunRecord) -> RunResult:
    packed = msgspec.msgpack.decode(record.outputs, type=dict[str, msgspec.Raw]) if record.outputs else None
    return RunResult(run=record.id, exit_code=0, packed=packed)


def load(
    document: str, inputs: InputSource, options: RunOptions, home: Home
) -> tuple[Loaded, JobOrder, CompileOptions]:
    """The Program of a document, as its job order and the overrides want it, and the job order."""
    base = Path(options.basedir or options.directory or ".").absolute()
    job = read_job_file(inputs.file, base=base) if inputs.file else None
    told = (job.overrides, job.requirements) if job else ()
    compiling = compile_options(document, options, *told)
    loaded = _narrowed(load_program(document, compiling, home.programs), options)
    program = loaded.program
    main = program.processes[program.main]
    order = load_inputs(main.inputs, inputs, base=base, job=job, namespaces=program.namespaces)
    return loaded, order, compiling


def _narrowed(loaded: Loaded, options: RunOptions) -> Loaded:
    part = narrow(loaded.program, options)
    if part is loaded.program:
        return loaded
    return msgspec.structs.replace(loaded, program=part, encoded=msgspec.msgpack.encode(part))


def _with_logs(options: RunOptions, reporter: Reporter) -> Reporter:
    if not options.log_dir:
        return reporter
    folder = Path(options.directory or ".", options.log_dir).absolute()
    make_writable(folder, "--log-dir")
    return KeepLogs(folder, reporter)
