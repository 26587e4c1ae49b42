"""A run on this machine: what surrounds its coordinator."""

import gc
import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.command_jobs import COMMANDS, ENCODED
from cwlbalsam.cwl.missing import without_missing
from cwlbalsam.cwl.relocation import relocate
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import UserError
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.executor.events import Interrupted, LogsFetched, Reporter, RunEnded, RunStarted
from cwlbalsam.executor.live import RetryPolicy
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.executor.recovery import hold_alive
from cwlbalsam.jobs.ids import new_run_id
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.parser.cache import Loaded
from cwlbalsam.service.home import Home
from cwlbalsam.service.leftovers import MOVES_FILE, clean_up_apart, write_intent
from cwlbalsam.service.link_book import LinkBook
from cwlbalsam.service.masking import mask, mask_changes, secrets_of
from cwlbalsam.service.options import NO_ENGINE, Asked
from cwlbalsam.service.requests import FOLDER, Requests
from cwlbalsam.service.resumed import Resumed
from cwlbalsam.service.run_end import RunResult, drop_obsolete, exit_code, files_of_document, ownership_of
from cwlbalsam.service.run_folders import make_writable, new_folder, reuse_folder
from cwlbalsam.service.run_sites import RunSites, sites_home_of, sites_of
from cwlbalsam.service.script_environment import script_environment
from cwlbalsam.service.settings import make_settings, worker_pool
from cwlbalsam.store import Store, open_store
from cwlbalsam.store.base import RunStatus
from cwlbalsam.store.host import this_host

if TYPE_CHECKING:
    from cwlbalsam.executor.staging_pool import StagingPool

OBJECTS_PER_COLLECTION = 50_000
"""A run makes millions of objects that stay: looking for garbage as often as Python does takes a third of its time."""


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

        ended = self.resumed.sites_of_ended() if self.resumed else {}
        followed = plan_run(self.loaded.program, self.values, self.options, self.home, self.reporter, ended)
        self.reporter = followed.follower
        return followed

    def _new_folder(self) -> Path:
        return new_folder(self.id, self.options, self.home, self.sites_home, self.sites.sites.values())

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
        program = self.loaded.program
        here = self.sites.processes_here(program, forbidden=self.options.engine == NO_ENGINE)
        settings = make_settings(program, self.options, self.values, self.id, self.folder, here)
        settings = msgspec.structs.replace(settings, reuse_folder=reuse_folder(self.options, self.home))
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

    def _pool(self, settings: Settings) -> "WorkerPool | StagingPool":
        programs = {COMMANDS.digest: ENCODED, self.loaded.program.digest: self.loaded.encoded}
        home = worker_pool(self.options, settings, self.folder, programs, journalled=not self.secrets)
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

        with suppress(ValueError, RuntimeError):  # not in the main thread: whoever called us decides
            loop.add_signal_handler(signal.SIGINT, self._interrupt, coordinator, "interrupted")
            loop.add_signal_handler(signal.SIGTERM, self._interrupt, coordinator, "killed")
        await pool.open(coordinator.outcomes, coordinator.started)
        coordinator.commits.later = loop.call_later
        environment = script_environment(self.home, self.id)
        scripts = coordinator.scripts.runner = ScriptRunner(environment, coordinator.scripted)
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

    def _interrupt(self, coordinator: Coordinator, status: Literal["interrupted", "killed"]) -> None:
        """The first Ctrl-C lets running jobs end; the second one, or SIGTERM, ends them."""
        draining = status == "interrupted" and not self.interrupted
        if self.interrupted != "killed":
            self.reporter.report(Interrupted(draining))
            self.interrupted = status
        coordinator.stop(drain=draining)

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
        code = exit_code(coordinator.failures, bool(self.interrupted))
        outputs: dict[str, Raw] | None = None
        message = coordinator.failures[0].error if coordinator.failures else ""
        if not self.interrupted:
            outputs = coordinator.outputs() if self.outputs is None else self.outputs
            if code:
                outputs = without_missing(outputs)
            if self.resumed:
                drop_obsolete(store, self.id, coordinator.jobs)
            coordinator.jobs.clear()  # of a large run a good part of the memory, which what follows needs
            try:
                outputs = self._bring_out(outputs)
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

    def _bring_out(self, outputs: dict[str, Raw]) -> dict[str, Raw]:
        """The outputs, in the user's directory."""
        if self.options.outputs == "leave":
            return outputs
        return relocate(
            outputs,
            str(self.outdir),
            ownership_of(self.folder, self.options, self.home),
            kept=[self.values, *files_of_document(self.loaded)],
            checksums=self.options.compute_checksum,
            intend=partial(write_intent, self.folder / MOVES_FILE),
        )

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
