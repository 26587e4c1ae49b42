"""A run on this machine, from a document's name to its output object."""

import asyncio
import math
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Process, Program, ToolProcess
from cwlbalsam.cwl.relocation import relocate
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, UnsupportedError, UserError
from cwlbalsam.executor.capacity import Capacity, Machine, detect_machine
from cwlbalsam.executor.coordinator import Coordinator, Failure
from cwlbalsam.executor.events import Event, JobEnded, Reporter, RunEnded, RunStarted, Silent, Warned
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.jobs.ids import new_run_id
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.parser.cache import Loaded, load_program
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.service.inputs import InputSource, JobOrder, check_inputs, load_inputs, read_job_file
from cwlbalsam.service.options import AUTO, NO_ENGINE, RunOptions, load_mpi_config, preserved_environment
from cwlbalsam.service.overrides import absolute_overrides, document_uri, read_overrides
from cwlbalsam.service.targets import narrow
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.base import RunStatus


class RunResult(Struct, kw_only=True):
    """outputs: the output object; of a failed run what there is of it, None if nothing ever ran."""

    run: str
    exit_code: int
    outputs: dict[str, Any] | None
    failures: list[Failure] = []


def run_document(
    document: str,
    inputs: InputSource | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> RunResult:
    """Compile and run a document. Raises UserError for what is wrong before anything runs."""
    options, reporter, inputs = options or RunOptions(), reporter or Silent(), inputs or InputSource()
    if options.log_dir:
        reporter = KeepLogs(Path(options.directory or ".", options.log_dir), reporter)
    home = Home(Path(options.home).absolute()) if options.home else find_home()
    loaded, order = load(document, inputs, options, home)
    for warning in (*loaded.warnings, *order.warnings):
        reporter.report(Warned(warning))
    check_inputs(loaded.program, order.values)
    return _Run(document, loaded, order.values, options, home, reporter).run()


class KeepLogs:
    """Copies what each job printed into a folder the user named, under the job's name."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self.folder = folder.absolute()
        self.reporter = reporter
        _make_writable(self.folder, "--log-dir")

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        if isinstance(event, JobEnded) and event.log:
            name = event.name.replace("/", ".") or "main"
            shutil.copyfile(event.log, self.folder / f"{name}.log")
        self.reporter.report(event)


def load(document: str, inputs: InputSource, options: RunOptions, home: Home) -> tuple[Loaded, JobOrder]:
    """The Program of a document, as its job order and the overrides want it, and the job order."""
    base = Path(options.basedir or options.directory or ".").absolute()
    job = read_job_file(inputs.file, base=base) if inputs.file else None
    uri = document_uri(document)
    overrides = list(absolute_overrides(job.overrides, uri)) if job and job.overrides else []
    if options.overrides:
        overrides += read_overrides(options.overrides, uri)
    compile_options = CompileOptions(
        overrides=overrides,
        requirements=job.requirements if job else (),
        enable_dev=options.enable_dev,
        strict=options.strict,
        skip_schemas=options.skip_schemas,
    )
    loaded = load_program(document, compile_options, home.programs)
    if (part := narrow(loaded.program, options)) is not loaded.program:
        loaded = msgspec.structs.replace(loaded, program=part, encoded=msgspec.msgpack.encode(part))
    process = loaded.program.processes[loaded.program.main]
    return loaded, load_inputs(process.inputs, inputs, base=base, job=job, namespaces=loaded.program.namespaces)


class _Run:
    """One run of a Program."""

    def __init__(
        self,
        document: str,
        loaded: Loaded,
        values: Mapping[str, Any],
        options: RunOptions,
        home: Home,
        reporter: Reporter,
    ) -> None:
        self.loaded, self.values, self.options, self.home, self.reporter = loaded, values, options, home, reporter
        self.id = new_run_id()
        self.document = document
        self.outdir = Path(options.directory or ".", options.outdir).absolute()
        self.folder = _run_folder(options, home, self.id)
        self.interrupted = False

    def run(self) -> RunResult:
        started = time.time()
        settings = _settings(self.loaded.program, self.options)
        store = open_store(self.home.path)
        jobs = self.folder / "jobs"
        _make_writable(self.outdir, "--outdir")
        _make_writable(jobs, "the run's directory")
        capacity = Capacity(_machine(self.options, jobs))
        pool = WorkerPool(
            self.options.workers or max(1, min(int(capacity.machine.cores), 16)),
            settings,
            lambda _: self.loaded.encoded,
            capacity=capacity,
            scratch=self.folder,
        )
        pool.start()  # forks: before the loop and its threads
        coordinator = Coordinator(
            self.loaded.program,
            pool,
            jobs,
            write=lambda changes: store.apply(self.id, changes),
            reporter=self.reporter,
            stop_on_error=self.options.on_error == "stop",
        )
        inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in self.values.items()}
        changes = coordinator.first_changes(inputs)
        store.put_program(self.loaded.program.digest, self.loaded.encoded)
        store.create_run(self._record(started), changes)
        self.reporter.report(RunStarted(self.id, self.document))
        asyncio.run(self._main(coordinator, pool))
        return self._end(coordinator, store, started)

    async def _main(self, coordinator: Coordinator, pool: WorkerPool) -> None:
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            self.interrupted = True
            coordinator.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError):  # not in the main thread: whoever called us decides
                loop.add_signal_handler(number, interrupt)
        await pool.open(coordinator.outcomes, coordinator.started)
        coordinator.start()
        await coordinator.done.wait()
        await pool.close()

    def _end(self, coordinator: Coordinator, store: Store, started: float) -> RunResult:
        code = _exit_code(coordinator.failures, self.interrupted)
        outputs: dict[str, Any] | None = None
        message = coordinator.failures[0].error if coordinator.failures else ""
        if not self.interrupted:
            values = {name: msgspec.msgpack.decode(raw) for name, raw in coordinator.outputs().items()}
            outputs = self._relocate(values)
        status: RunStatus = "interrupted" if self.interrupted else "failed" if code else "finished"
        packed = msgspec.msgpack.encode(outputs) if outputs is not None else None
        store.finish_run(self.id, status, outputs=packed, message=message, ended=time.time())
        store.close()
        if not code and not self.options.keep:
            _clean(self.folder)
        self.reporter.report(RunEnded(self.id, status, time.time() - started))
        return RunResult(run=self.id, exit_code=code, outputs=spell_out(outputs), failures=coordinator.failures)

    def _relocate(self, values: dict[str, Any]) -> dict[str, Any]:
        if self.options.outputs == "leave":
            return values
        owned = str(self.folder) if self.options.outputs == "move" else os.devnull
        return relocate(values, str(self.outdir), owned, checksums=self.options.compute_checksum)

    def _record(self, started: float) -> RunRecord:
        return RunRecord(
            id=self.id,
            name=Path(self.document.partition("#")[0]).stem,
            document=self.document if "://" in self.document else str(Path(self.document).absolute()),
            program=self.loaded.program.digest,
            created=started,
            directory=str(self.folder),
            outdir=str(self.outdir),
            inputs=msgspec.msgpack.encode(self.values),
            options=msgspec.msgpack.encode(self.options),
            pid=os.getpid(),
            host=socket.gethostname(),
        )


def spell_out(value: Any) -> Any:
    """A value for people and for JSON: whole numbers beyond 64 bits, floats until here, become integers again."""
    match value:
        case float() if abs(value) >= 2**63 and math.isfinite(value):
            return int(Decimal(repr(value)))
        case dict():
            return {key: spell_out(entry) for key, entry in value.items()}
        case list():
            return [spell_out(entry) for entry in value]
    return value


def _exit_code(failures: Iterable[Failure], interrupted: bool) -> int:
    if interrupted:
        return EXIT_INTERRUPTED
    if any(failure.bug for failure in failures):
        return EXIT_BUG
    return EXIT_FAILED if list(failures) else 0


def _run_folder(options: RunOptions, home: Home, run: str) -> Path:
    if options.tmpdir_prefix:
        return Path(f"{Path(options.directory or '.').absolute() / options.tmpdir_prefix}{run}")
    return home.run_directory(run)


def _make_writable(folder: Path, what: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{what} {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{what} {folder} is not writable", hint="choose another one, or change its permissions")


def _machine(options: RunOptions, folder: Path) -> Machine:
    machine = detect_machine(folder)
    return Machine(
        cores=options.cores or machine.cores,
        ram=options.ram or machine.ram,
        tmpdir=machine.tmpdir,
        gpus=machine.gpus,
    )


def _settings(program: Program, options: RunOptions) -> Settings:
    mpi = load_mpi_config(options.mpi_config_file)
    return Settings(
        engine=_engine(program.processes, options),
        engine_binary=options.engine_command,
        pull=options.pull,
        default_container=options.default_container if options.engine != NO_ENGINE else "",
        compute_checksum=options.compute_checksum,
        relax_path_checks=options.relax_path_checks,
        javascript_seconds=options.eval_timeout,
        environment=preserved_environment(options),
        path=os.environ.get("PATH", os.defpath),
        mpi_command=mpi.command,
        mpi_environment=mpi.environment() if _uses_mpi(program) else {},
    )


def _uses_mpi(program: Program) -> bool:
    return any(process.requirements.mpi is not None for process in program.processes)


def _engine(processes: Iterable[Process], options: RunOptions) -> str:
    """The container engine, looked for only if a tool wants one."""
    tools = [process for process in processes if isinstance(process, ToolProcess)]
    wanting = [tool.requirements.docker for tool in tools if tool.requirements.docker is not None]
    required = next((docker for docker in wanting if docker.required), None)
    if options.engine == NO_ENGINE:
        if required is not None:
            message = "a tool requires a container, and --no-container forbids it"
            raise UnsupportedError(message, place=required.place)
        return ""
    if not wanting and not (options.default_container and tools):
        return ""
    from cwlbalsam.sites.containers import find_engine

    engine = find_engine("" if options.engine == AUTO else options.engine)
    if not engine and (required is not None or options.default_container):
        hint = "install podman, docker, apptainer or udocker, or ask for another one by --podman, --docker, ..."
        raise UserError("a tool requires a container, and no container engine works here", hint=hint)
    return engine


def _clean(folder: Path) -> None:
    """Remove what jobs have left, but for what their commands printed."""
    for shard in (folder / "jobs").iterdir():
        for entry in os.scandir(shard):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif not entry.name.endswith(".log"):
                Path(entry.path).unlink(missing_ok=True)
        with suppress(OSError):
            shard.rmdir()
    for path in (folder / "jobs", folder):
        with suppress(OSError):
            path.rmdir()
