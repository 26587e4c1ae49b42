"""A run on this machine: what surrounds its coordinator."""

import gc
import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw, Struct

import cwlbalsam
from cwlbalsam.cwl.command_jobs import COMMANDS, ENCODED
from cwlbalsam.cwl.missing import without_missing
from cwlbalsam.cwl.packed import unpack
from cwlbalsam.cwl.records import Process, WorkflowProcess
from cwlbalsam.cwl.relocation import Ground, relocate
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from cwlbalsam.executor.capacity import Capacity
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.executor.events import Interrupted, LogsFetched, Reporter, RunEnded, RunStarted
from cwlbalsam.executor.live import Failure, Remembered, RetryPolicy
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.executor.recovery import hold_alive
from cwlbalsam.jobs.ids import new_run_id
from cwlbalsam.jobs.model import Changes, JobKind, Move, RunRecord, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.parser.cache import Loaded
from cwlbalsam.service.home import Home
from cwlbalsam.service.leftovers import MOVES_FILE, clean_up_apart, write_intent
from cwlbalsam.service.link_book import LinkBook
from cwlbalsam.service.masking import mask, mask_changes, secrets_of
from cwlbalsam.service.options import NO_ENGINE, Asked, RunOptions
from cwlbalsam.service.output_object import spell_out
from cwlbalsam.service.requests import FOLDER, Requests
from cwlbalsam.service.run_sites import RunSites, sites_home_of, sites_of
from cwlbalsam.service.settings import choose_machine, make_settings
from cwlbalsam.sites.site import LOCAL
from cwlbalsam.store import Store, StoredJob, open_store
from cwlbalsam.store.base import RunStatus
from cwlbalsam.store.host import this_host

if TYPE_CHECKING:
    from cwlbalsam.executor.staging_pool import StagingPool

MAX_WORKERS = 16
SCRIPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR")
OBJECTS_PER_COLLECTION = 50_000
"""A run makes millions of objects that stay: looking for garbage as often as Python does takes a third of its time."""
UNFINISHED = frozenset(State) - FINAL


class Resumed(Struct, kw_only=True):
    """The earlier part of a run that is taken up again. added: its jobs that are no steps of the document."""

    record: RunRecord
    memory: dict[tuple[str, JobKind], Remembered]
    added: list[StoredJob] = []
    edges: list[tuple[int, int]] = []


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


class LocalRun:
    """One run of a Program, or the rest of one."""

    def __init__(
        self,
        document: str,
        loaded: Loaded,
        values: Mapping[str, Any],
        asked: Asked,
        home: Home,
        reporter: Reporter,
        resumed: Resumed | None = None,
        requests: Requests | None = None,
    ) -> None:
        self.document, self.loaded, self.values = document, loaded, values
        self.asked, self.options, self.home, self.reporter = asked, asked.options, home, reporter
        self.resumed = resumed
        self.id = resumed.record.id if resumed else new_run_id()
        self.outdir = Path(self.options.directory or ".", self.options.outdir).absolute()
        self.sites_home = sites_home_of(self.options, home)
        self.sites = self._choose_sites()
        self.folder = Path(resumed.record.directory) if resumed else self._new_folder()
        self.requests = requests or Requests(self.folder / FOLDER)
        self.interrupted: Literal["", "interrupted", "killed"] = ""
        self.secrets = secrets_of(loaded.program, values)
        self.links = LinkBook()
        self.outputs: dict[str, Raw] | None = None  # of a run with sites, once they are here

    @property
    def is_queue(self) -> bool:
        """Whether all its jobs are added while it is under way."""
        return self.loaded.program.digest == COMMANDS.digest

    def _choose_sites(self) -> RunSites:
        if not self.options.plan:
            return sites_of(self.options, self.home, self.loaded.program)
        from cwlbalsam.service.planned_run import plan_run  # and with it all of planning

        memory = self.resumed.memory if self.resumed else {}
        outcomes = ((name, known.outcome) for (name, kind), known in memory.items() if kind == "job")
        ended = {name: outcome.site or LOCAL for name, outcome in outcomes if outcome is not None}
        followed = plan_run(self.loaded.program, self.values, self.options, self.home, self.reporter, ended)
        self.reporter = followed.follower
        return followed

    def _new_folder(self) -> Path:
        if self.options.tmpdir_prefix:
            return Path(f"{Path(self.options.directory or '.').absolute() / self.options.tmpdir_prefix}{self.id}")
        seen = next((site for site in self.sites.sites.values() if not site.host), None)
        if seen is not None:  # its nodes must see the folder
            from cwlbalsam.service.agents import work_folder

            return work_folder(self.sites_home, seen) / "runs" / self.id
        return self.home.run_directory(self.id)

    def run(self, store: Store | None = None) -> RunResult:
        """To its end, or until it is interrupted. store: the home's, if it is open already."""
        thresholds = gc.get_threshold()
        gc.set_threshold(OBJECTS_PER_COLLECTION, 20, 100)
        try:
            return self._run(store)
        finally:
            gc.set_threshold(*thresholds)

    def _run(self, store: Store | None) -> RunResult:
        started = time.time()
        settings = make_settings(
            self.loaded.program, self.options, self.values, self.id, self.folder, self._processes_here()
        )
        settings = msgspec.structs.replace(settings, reuse_folder=_reuse_folder(self.options, self.home))
        make_writable(self.outdir, "--outdir")
        make_writable(self.folder / "jobs", "the run's directory")
        self.sites.keep_in(self.folder)
        alive = None if self.resumed else hold_alive(self.folder)  # who resumes a run holds it already
        try:
            pool = self._pool(settings)
            try:
                pool.start()  # forks: before the loop and its threads, and while this process is small
                with ExitStack() as stack:
                    store = store or stack.enter_context(closing(open_store(self.home.path)))
                    return self._conduct(pool, store, started)
            finally:
                pool.abandon()
        finally:
            if alive is not None:
                os.close(alive)

    def _conduct(self, pool: "WorkerPool | StagingPool", store: Store, started: float) -> RunResult:
        try:
            coordinator = self._coordinator(pool, store)
            if self.requests.reserve is not None:
                coordinator.additions.reserve = self.requests.reserve
            if self.resumed and self.resumed.added:
                coordinator.restore(self.resumed.added, self.resumed.edges, again=not self.is_queue)
            inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in self.values.items()}
            changes = coordinator.first_changes(inputs)
            store.put_program(self.loaded.program.digest, self.loaded.encoded)
            if self.resumed:
                store.claim_run(self.resumed.record, self._record(started))
                store.apply(self.id, mask_changes(changes, self.secrets))
            else:
                store.create_run(self._record(started), mask_changes(changes, self.secrets))
            self.reporter.report(RunStarted(self.id, self.document))
            import asyncio  # the workers, forked before, import what they need meanwhile

            if self.sites.sites:
                self.links.read(store)
            try:
                asyncio.run(self._main(coordinator, pool))
            finally:
                self.links.write(store)
            return self._end(coordinator, store, started)
        except BaseException as error:
            status: RunStatus = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with suppress(Exception):  # what went wrong first is what the user must know
                store.finish_run(self.id, status, message=str(error), ended=time.time())
            raise

    def _processes_here(self) -> list[Process]:
        """What needs the container engine of this machine, or of one that is set up like it."""
        program, sites = self.loaded.program, self.sites.sites.values()
        elsewhere = {id(tool) for site in sites if site.host for tool in self.sites.tools_at(program, site.name)}
        elsewhere -= {id(tool) for tool in self.sites.tools_at(program, "")}
        forbidden = self.options.engine == NO_ENGINE  # anywhere
        return [process for process in program.processes if forbidden or id(process) not in elsewhere]

    def _pool(self, settings: Settings) -> "WorkerPool | StagingPool":
        home = self._local_pool(settings)
        if not self.sites.sites:
            return home
        from cwlbalsam.service.run_places import RunPlaces  # and with it all of transfers

        places = RunPlaces(
            run=self.id,
            folder=self.folder,
            loaded=self.loaded,
            sites=self.sites,
            options=self.options,
            home=self.home,
            sites_home=self.sites_home,
            secret=bool(self.secrets),
            reporter=self.reporter,
            links=self.links,
        )
        return places.pool(home, settings)

    def _local_pool(self, settings: Settings) -> WorkerPool:
        capacity = Capacity(choose_machine(self.options, self.folder))
        journals = self.folder / "journals"
        journals.mkdir(exist_ok=True)
        return WorkerPool(
            self.options.workers or max(1, min(int(capacity.machine.cores), MAX_WORKERS)),
            settings,
            self._programs().__getitem__,
            capacity=capacity,
            scratch=self.folder,
            journals=None if self.secrets else journals,  # what is journalled is not masked
        )

    def _programs(self) -> dict[str, bytes]:
        return {COMMANDS.digest: ENCODED, self.loaded.program.digest: self.loaded.encoded}

    def _coordinator(self, pool: "WorkerPool | StagingPool", store: Store) -> Coordinator:
        coordinator = Coordinator(
            self.loaded.program,
            pool,
            self.folder / "jobs",
            write=lambda changes: store.apply(self.id, mask_changes(changes, self.secrets)),
            reporter=self.reporter,
            stop_on_error=self.options.on_error == "stop",
            retry=RetryPolicy(self.options.retries, self.options.retry_memory_factor, self.options.retry_time_factor),
            memory=self.resumed.memory if self.resumed else None,
        )
        if not self.secrets:  # what is kept is masked
            coordinator.remaking.read = partial(store.job, self.id)
        return coordinator

    async def _main(self, coordinator: Coordinator, pool: "WorkerPool | StagingPool") -> None:
        import asyncio

        from cwlbalsam.executor.script_runner import ScriptRunner

        loop = asyncio.get_running_loop()

        def interrupt(status: Literal["interrupted", "killed"]) -> None:
            """The first Ctrl-C lets running jobs end; the second one, or SIGTERM, ends them."""
            draining = status == "interrupted" and not self.interrupted
            if self.interrupted != "killed":
                self.reporter.report(Interrupted(draining))
                self.interrupted = status
            coordinator.stop(drain=draining)

        with suppress(ValueError, RuntimeError):  # not in the main thread: whoever called us decides
            loop.add_signal_handler(signal.SIGINT, lambda: interrupt("interrupted"))
            loop.add_signal_handler(signal.SIGTERM, lambda: interrupt("killed"))
        await pool.open(coordinator.outcomes, coordinator.started)
        coordinator.commits.later = loop.call_later
        scripts = coordinator.scripts.runner = ScriptRunner(self._script_environment(), coordinator.scripted)
        try:
            coordinator.start()
            await self.requests.attend(coordinator, lambda: bool(self.interrupted))
            if coordinator.broken is not None:
                raise coordinator.broken
            if not isinstance(pool, WorkerPool):
                await self._leave_sites(coordinator, pool)
        except BaseException:
            await scripts.close()
            await pool.close(kill=True)
            raise
        await pool.close()

    def _script_environment(self) -> dict[str, str]:
        """Of the scripts before and after jobs, which run here, as their user, and find this very cwlbalsam."""
        kept = {name: os.environ[name] for name in SCRIPT_VARIABLES if name in os.environ}
        package = str(Path(cwlbalsam.__file__).parent.parent)
        python = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        return {
            "PATH": os.defpath,
            **kept,
            "PYTHONPATH": python,
            "CWLBALSAM_HOME": str(self.home.path),
            "CWLBALSAM_RUN": self.id,
        }

    async def _leave_sites(self, coordinator: Coordinator, pool: "StagingPool") -> None:
        """Fetch the final outputs from where they were made, and what the user wants to read."""
        if self.interrupted:
            return
        if self.options.log_dir:
            self.reporter.report(LogsFetched(await pool.fetch_logs()))
        stays = self.options.outputs == "leave"
        self.outputs = coordinator.outputs()
        if not stays:
            self.outputs = await pool.fetch(self.outputs)
        pool.clean = not (coordinator.failures or stays or self.options.keep)

    def _end(self, coordinator: Coordinator, store: Store, started: float) -> RunResult:
        code = _exit_code(coordinator.failures, bool(self.interrupted))
        outputs: dict[str, Raw] | None = None
        message = coordinator.failures[0].error if coordinator.failures else ""
        if not self.interrupted:
            outputs = coordinator.outputs() if self.outputs is None else self.outputs
            if code:
                outputs = without_missing(outputs)
            self._drop_obsolete(coordinator, store)
            coordinator.jobs.clear()  # of a large run a good part of the memory, which what follows needs
            try:
                outputs = self._relocate(outputs)
            except UserError as error:
                store.finish_run(self.id, "failed", outputs=None, message=str(error), ended=time.time())
                raise
        status: RunStatus = self.interrupted or ("failed" if code else "finished")
        packed = mask(msgspec.msgpack.encode(outputs), self.secrets) if outputs is not None else None
        store.finish_run(self.id, status, outputs=packed, message=message, ended=time.time())
        if not code and not self.options.keep:
            clean_up_apart(self.folder)
        self.reporter.report(RunEnded(self.id, status, time.time() - started))
        return RunResult(run=self.id, exit_code=code, packed=outputs, failures=coordinator.failures)

    def _drop_obsolete(self, coordinator: Coordinator, store: Store) -> None:
        """Jobs that an edit has taken out of the workflow wait for nothing any more."""
        if self.resumed is None:
            return
        now = time.time()
        left = [job for job in store.jobs(self.id, UNFINISHED) if job.id not in coordinator.jobs]
        moves = [
            Move(job=job.id, state=State.USER_KILLED, time=now, attempt=job.attempt, message="no longer asked for")
            for job in left
        ]
        store.apply(self.id, Changes(moves=moves))

    def _relocate(self, outputs: dict[str, Raw]) -> dict[str, Raw]:
        if self.options.outputs == "leave":
            return outputs
        intent = self.folder / MOVES_FILE
        return relocate(
            outputs,
            str(self.outdir),
            self._ground(),
            kept=[self.values, self._defaults(), self._documents()],
            checksums=self.options.compute_checksum,
            intend=lambda intended: write_intent(intent, intended),
        )

    def _ground(self) -> Ground:
        if self.options.outputs == "copy":
            return Ground("")
        reuse = _reuse_folder(self.options, self.home)
        return Ground(os.path.realpath(self.folder), (os.path.realpath(reuse),) if reuse else ())

    def _defaults(self) -> list[Any]:
        """What inputs are when nothing is given: Files that lie beside the document."""
        processes = self.loaded.program.processes
        defaults = [field.default for process in processes for field in process.inputs]
        steps = [step for process in processes if isinstance(process, WorkflowProcess) for step in process.steps]
        return defaults + [link.default for step in steps for link in step.inputs]

    def _documents(self) -> list[dict[str, str]]:
        return [{"class": "File", "location": uri} for uri in self.loaded.files]

    def _record(self, started: float) -> RunRecord:
        return RunRecord(
            id=self.id,
            name=Path(self.document.partition("#")[0]).stem,
            document=self.document if "://" in self.document else str(Path(self.document).absolute()),
            program=self.loaded.program.digest,
            created=self.resumed.record.created if self.resumed else started,
            claimed=started,
            directory=str(self.folder),
            outdir=str(self.outdir),
            inputs=mask(msgspec.msgpack.encode(self.values), self.secrets),
            options=msgspec.msgpack.encode(self.asked),
            pid=os.getpid(),
            host=this_host().name,
        )


def make_writable(folder: Path, what: str) -> None:
    """Make a folder if it is not there. Raises UserError if nothing can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{what} {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{what} {folder} is not writable", hint="choose another one, or change its permissions")


def _exit_code(failures: Iterable[Failure], interrupted: bool) -> int:
    if interrupted:
        return EXIT_INTERRUPTED
    if any(failure.bug for failure in failures):
        return EXIT_BUG
    return EXIT_FAILED if list(failures) else 0


def _reuse_folder(options: RunOptions, home: Home) -> str:
    """Where results are kept for later runs; empty if they are not to be."""
    if options.cachedir:
        folder = Path(options.directory or ".", options.cachedir).absolute()
    elif options.reuse:
        folder = home.reuse
    else:
        return ""
    make_writable(folder, "--cachedir" if options.cachedir else "the directory of results")
    return str(folder)
