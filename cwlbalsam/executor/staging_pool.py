"""The places where one run's jobs run: this machine, and sites. Each task goes to one, and its files before it.

What a task reads is brought to where it runs, unless it is there; what it makes stays where it was made. A site that
shares its files with this machine gets tasks as they are.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from cwlbalsam.cwl.command_jobs import COMMANDS, ENCODED
from cwlbalsam.cwl.places import HERE
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.errors import JobError, UserError
from cwlbalsam.executor.crew import ended
from cwlbalsam.executor.needs import FILE_MARK, has_command, has_default_files, reads_files, written_out
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.executor.site_pool import SitePool
from cwlbalsam.executor.task_files import SITE_MARK, TaskFiles, Values, decoded, forget_listings
from cwlbalsam.executor.wanted import TransferFailed
from cwlbalsam.executor.whereabouts import PRIVATE, Whereabouts
from cwlbalsam.jobs.names import job_directory


class Place(Struct, eq=False):
    """A site of the run. shares: it sees this machine's files under their paths."""

    name: str
    pool: SitePool
    shares: bool


class Way(Struct, eq=False):
    """A task from its submission to its outcome. place: None until it is with workers."""

    task: Task
    place: str | None = None
    staging: "asyncio.Task[None] | None" = None
    bound: "asyncio.Future[Outcome] | None" = None  # its first part, which changes its inputs
    translated: bool = False


class Opening(Protocol):
    """Called when all sites have answered; makes what brings files, None if all share them. Raises UserError if a site
    cannot run what is meant for it."""

    async def __call__(self, places: Mapping[str, Place]) -> Whereabouts | None: ...


class StagingPool:
    """choose: the site of a tool's job, HERE for this machine. order: of jobs that are ready together. keep_logs: all
    that commands print is wanted here."""

    def __init__(
        self,
        home: WorkerPool,
        places: Mapping[str, Place],
        program: Program,
        *,
        choose: Callable[[Task], str],
        opening: Opening,
        order: Callable[[Task], float] | None = None,
        keep_logs: bool = False,
    ) -> None:
        self._home = home
        self._places = places
        self._program = program
        self._choose, self._order = choose, order
        self._opening = opening
        self._files: TaskFiles | None = None  # None if all sites share this machine's files
        self._ways: dict[int, Way] = {}
        self._keep_logs = keep_logs
        self._logs: list[str] = []  # locations of those that are still at their sites
        self.clean = False  # at the end: the run needs nothing more that is at its sites
        self._on_outcomes: Callable[[list[Outcome]], None] = lambda _: None

    def start(self) -> None:
        """Fork the workers of this machine."""
        self._home.start()

    async def open(
        self, on_outcomes: Callable[[list[Outcome]], None], on_started: Callable[[list[int]], None] = lambda _: None
    ) -> None:
        """Raises UserError if a site cannot be used."""
        self._on_outcomes = on_outcomes
        await self._home.open(lambda outcomes: self._ended(HERE, outcomes), self._filtered(on_started))
        try:
            opening = [self._open(place, on_started) for place in self._places.values()]
            for answer in await asyncio.gather(*opening, return_exceptions=True):
                if isinstance(answer, BaseException):
                    raise answer
            whereabouts = await self._opening(self._places)
        except BaseException:
            await self.close(kill=True)
            raise
        self._files = TaskFiles(self._program, whereabouts) if whereabouts is not None else None
        for place in self._places.values():
            files = None if place.shares else self._files
            encoded = files.program_at(place.name) if files is not None else msgspec.msgpack.encode(self._program)
            place.pool.learn(self._program.digest, encoded)
            place.pool.learn(COMMANDS.digest, ENCODED)

    async def _open(self, place: Place, on_started: Callable[[list[int]], None]) -> None:
        await place.pool.open(lambda outcomes: self._ended(place.name, outcomes), on_started)

    def _filtered(self, on_started: Callable[[list[int]], None]) -> Callable[[list[int]], None]:
        """A job whose inputs are only bound here has not started."""

        def started(jobs: list[int]) -> None:
            on_started([job for job in jobs if (way := self._ways.get(job)) is None or way.bound is None])

        return started

    # --- in ---

    def submit(self, tasks: Sequence[Task]) -> None:
        ready: dict[str, list[Task]] = {}
        for task in sorted(tasks, key=self._order) if self._order else tasks:
            place = self._choose(task) if has_command(self._program, task) else HERE
            way = self._ways[task.job] = Way(task)
            if self._goes_as_it_is(task, place):
                way.place = place
                ready.setdefault(place, []).append(self._at(place, task))
            else:
                way.staging = asyncio.create_task(self._stage(way, place))
        for place, group in ready.items():
            self._pool(place).submit(group)

    def _pool(self, place: str) -> WorkerPool | SitePool:
        return self._places[place].pool if place else self._home

    def _shares(self, place: str) -> bool:
        return not place or self._places[place].shares

    def _paths_of(self, place: str) -> str:
        """The place under whose paths it has files."""
        return HERE if self._shares(place) else place

    def _goes_as_it_is(self, task: Task, place: str) -> bool:
        """Without a look at its values. A command that is no step of the document finds its files by itself."""
        if task.program == COMMANDS.digest:
            return True
        raws = (*task.inputs.values(), *task.previous.values())
        if self._shares(place):
            return self._files is None or not any(SITE_MARK in bytes(raw) for raw in raws)
        process = self._program.processes[task.process]
        if any(FILE_MARK in bytes(raw) for raw in raws) or any(True for _ in written_out(process)):
            return False
        return not has_default_files(process, task.inputs)

    def _at(self, place: str, task: Task) -> Task:
        """The task with its directory at a place."""
        if self._shares(place):
            return task
        folder = f"{self._places[place].pool.opened.directory}/jobs"
        return replace(task, directory=job_directory(folder, task.job, task.attempt))

    # --- on the way ---

    async def _stage(self, way: Way, place: str) -> None:
        try:
            await self._bring(way, place)
        except TransferFailed as error:
            missing = tuple(key.partition(PRIVATE)[0] for key in error.missing)
            self._answer([replace(ended(way.task, "failed", str(error)), missing=missing)])
        except (UserError, JobError) as error:
            self._answer([ended(way.task, "failed", str(error))])
        except Exception as error:
            self._answer([replace(ended(way.task, "failed", f"internal error: {error!r}"), bug=True)])

    async def _bring(self, way: Way, place: str) -> None:
        task = way.task
        assert self._files is not None
        inputs, previous = decoded(task.inputs), decoded(task.previous)
        if has_command(self._program, task):
            if self._files.is_bound_here_first(task, inputs, previous):
                outcome = await self._bind(way, inputs, previous)
                if outcome.ending != "done":
                    self._answer([replace(outcome, fingerprint=task.fingerprint)])
                    return
                task = replace(task, inputs=outcome.outputs, previous={}, step=None, loop=False, top=False)
                inputs, previous = decoded(task.inputs), {}
                forget_listings(inputs)
        elif reads_files(self._program, task, {**inputs, **previous}):
            place = self._files.where_most_is([inputs, previous])
        else:
            self._submit(way, task, HERE)  # what the values say is enough
            return
        task = await self._moved(way, task, place, inputs, previous)
        self._submit(way, task, place)

    async def _bind(self, way: Way, inputs: Values, previous: Values) -> Outcome:
        """Have the inputs made here, as their tool will see them."""
        task = replace(way.task, mode="bind", fingerprint=b"", grant=replace(way.task.grant, cores=0.0, ranks=0))
        if reads_files(self._program, task, {**inputs, **previous}):
            task = await self._moved(way, task, HERE, inputs, previous)
        way.bound = asyncio.get_running_loop().create_future()
        way.place = HERE
        self._home.submit([task])
        outcome = await way.bound
        way.place = way.bound = None
        return outcome

    async def _moved(self, way: Way, task: Task, place: str, inputs: Values, previous: Values) -> Task:
        assert self._files is not None
        task = await self._files.moved(task, self._paths_of(place), inputs, previous)
        way.translated = True
        return task

    def _submit(self, way: Way, task: Task, place: str) -> None:
        way.place, way.staging = place, None
        self._pool(place).submit([self._at(place, task)])

    # --- out ---

    def _ended(self, place: str, outcomes: list[Outcome]) -> None:
        ready = []
        for outcome in outcomes:
            way = self._ways.get(outcome.job)
            if way is None or way.place != place:
                continue
            if self._files is not None and (not self._shares(place) or way.translated):
                outcome = self._files.named(self._paths_of(place), outcome)
            if place:
                outcome = replace(outcome, site=place)
            if way.bound is not None:
                if not way.bound.done():
                    way.bound.set_result(outcome)
            elif self._shares(place):
                ready.append(outcome)
            elif outcome.ending not in ("done", "skipped") and (outcome.log or outcome.command):
                way.staging = asyncio.create_task(self._answer_with_log(outcome))
            else:
                ready.append(outcome)
                if self._keep_logs and outcome.log:
                    self._logs.append(outcome.log)
        if ready:
            self._answer(ready)

    def _answer(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._ways.pop(outcome.job, None)
        self._on_outcomes(outcomes)

    async def _answer_with_log(self, outcome: Outcome) -> None:
        assert self._files is not None
        self._answer([await self._files.with_log(outcome)])

    async def fetch(self, outputs: dict[str, Raw]) -> dict[str, Raw]:
        """Values with all their files here. Raises UserError."""
        return outputs if self._files is None else await self._files.fetch(outputs)

    async def fetch_logs(self) -> dict[str, str]:
        """What all jobs have printed that ended well: path here by location; what does not come is left out."""
        if self._files is None:
            return {}
        logs, self._logs = self._logs, []
        paths = await asyncio.gather(*map(self._files.log, logs))
        return {log: path for log, path in zip(logs, paths, strict=True) if path != log}

    # --- ends ---

    def cancel(self, jobs: Sequence[int], *, unstarted: bool = False) -> None:
        by_place: dict[str, list[int]] = {}
        dropped = []
        for job in jobs:
            way = self._ways.get(job)
            if way is None:
                continue
            if way.staging is not None and way.bound is None:
                way.staging.cancel()
                dropped.append(ended(way.task, "cancelled", "cancelled"))
            elif way.place is not None:
                by_place.setdefault(way.place, []).append(job)
        for place, group in by_place.items():
            self._pool(place).cancel(group, unstarted=unstarted)
        if dropped:
            asyncio.get_running_loop().call_soon(self._answer, dropped)

    async def close(self, kill: bool = False) -> None:
        """See WorkerPool."""
        for way in list(self._ways.values()):
            if way.staging is not None:
                way.staging.cancel()
        places = self._places.values()
        await asyncio.gather(*(place.pool.close(kill, self.clean and not place.shares) for place in places))
        if self._files is not None:
            await self._files.close()
        await self._home.close(kill)

    def abandon(self) -> None:
        self._home.abandon()
