"""Tries all that a run at a site will need, and says what to do about each failure."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.cwl.tasks import Grant, Outcome, Settings, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.messages import OpenRun
from cwlbalsam.executor.pilots import BY_FILES, NO_CALL
from cwlbalsam.executor.site_pool import SitePool
from cwlbalsam.jobs.ids import new_run_id
from cwlbalsam.service.agents import work_folder
from cwlbalsam.service.endpoints import endpoint_of, home_endpoint
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import AUTO
from cwlbalsam.service.run_places import connector_of
from cwlbalsam.service.site_files import Seen, look_closely, runner
from cwlbalsam.service.site_software import look_for
from cwlbalsam.service.transfer_check import check_transfers
from cwlbalsam.sites.schedulers import SCHEDULERS
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.transfers.base import TransferError
from cwlbalsam.sites.transfers.hand import ask
from cwlbalsam.sites.transfers.sessions import end_sessions

Status = Literal["ok", "failed", "skipped"]
LOGIN_SECONDS = 60.0
CHECK = Program(
    uri="check",
    main=0,
    processes=(ToolProcess(id="check", version="v1.2", inputs=(), outputs=(), base_command=("uname", "-n")),),
    digest="check",
)
"""A job that does nothing: what matters is that it runs."""


class Finding(Struct, frozen=True):
    """What one thing was found to be like. advice: what to do, if it failed."""

    name: str
    status: Status
    told: str = ""
    advice: str = ""


class SiteCheck:
    """wait_seconds: for a pilot that queues."""

    def __init__(self, site: Site, home: Home, wait_seconds: float) -> None:
        self._site, self._home, self._wait = site, home, wait_seconds
        self._seen: Seen | None = None
        self._work = ""
        self._engine = ""

    async def run(self) -> AsyncIterator[Finding]:
        """What later things rest on comes first; without it they are skipped."""
        steps: list[tuple[str, Callable[[], Awaitable[str]], bool]] = [
            ("login", self._login, True),
            ("python", self._python, False),
            ("machine", self._machine, True),
            ("work directory", self._work_directory, True),
            ("modules", self._modules, False),
            ("scheduler", self._scheduler, True),
            ("cwlbalsam", self._agent, True),
            ("containers", self._containers, False),
            ("pilot", self._pilot, False),
        ]
        needed = ""
        for name, step, vital in steps:
            if needed:
                yield Finding(name, "skipped", f"without {needed} it cannot be tried")
                continue
            finding = await _tried(name, step)
            yield finding
            if finding.status == "failed" and vital:
                needed = name
        if needed in ("", "scheduler", "cwlbalsam"):
            async for finding in self._transfers():
                yield finding
        await end_sessions()

    # --- one thing each: what was found; raises UserError ---

    async def _login(self) -> str:
        if not self._site.host:
            return "this machine"
        answer = await runner(self._site)(["true"], LOGIN_SECONDS)
        if answer.code:
            words = answer.words.strip() or f"ssh ended with code {answer.code}"
            raise UserError(words, hint=_login_advice(self._site, words))
        return self._site.host

    async def _python(self) -> str:
        """Without it there are no transfers to the site."""
        try:
            await ask(endpoint_of(self._site, "/"), "stamps", paths=[])
        except TransferError as error:
            hint = "name a Python 3.8 or newer in the site file: `python: /path/to/python3`"
            raise UserError(error.message, hint=hint) from error
        return self._site.python or "python3"

    async def _machine(self) -> str:
        self._seen = await look_closely(self._site)
        facts = self._seen.facts
        self._work = self._seen.site.work
        return f"{facts.host}, {facts.cores} cores"

    async def _work_directory(self) -> str:
        assert self._seen is not None
        home = self._seen.facts.home
        self._work = f"{home}{self._work[1:]}" if self._work.startswith("~") else self._work
        script = 'mkdir -p "$1" && t=$(mktemp "$1/.check-XXXXXX") && echo x > "$t" && rm "$t"'
        answer = await runner(self._site)(["sh", "-c", script, "sh", self._work], LOGIN_SECONDS)
        if answer.code:
            hint = "name a folder in the site file that you may write to and that all nodes see: `work: /...`"
            raise UserError(f"{self._work}: {answer.words.strip()}", hint=hint)
        return self._work

    async def _modules(self) -> str:
        found = await look_for(self._site, [])
        if found is not None and found.lacking:
            hint = "mend `modules` in the site file: `module avail` there says which there are"
            raise UserError(f"{', '.join(found.lacking)} cannot be loaded", hint=hint)
        return ", ".join(self._site.modules) or "none"

    async def _scheduler(self) -> str:
        assert self._seen is not None
        seen, settings = self._seen, self._seen.site.scheduler
        if seen.trouble:
            others = ", ".join(kind for kind in SCHEDULERS if kind != settings.kind)
            hint = f"is `scheduler: {settings.kind}` right? There are {others}; leave it out to have it guessed"
            raise UserError(seen.trouble, hint=hint)
        if seen.state is None:
            return settings.kind
        queues = {queue.name for queue in seen.state.queues}
        if settings.queue and queues and settings.queue not in queues:
            raise UserError(
                f"there is no queue '{settings.queue}'",
                hint=f"`queue:` in the site file can be {', '.join(sorted(queues))}",
            )
        return f"{settings.kind}, {seen.state.free} of {seen.state.nodes} nodes are free"

    async def _agent(self) -> str:
        pool = self._pool(lambda _: None)
        await pool.open(lambda _: None)
        self._engine = pool.opened.engine
        await pool.close(clean=True)
        return "the same version" if self._site.host else "its agent runs"

    def _pool(self, notify: Callable[[str], None]) -> SitePool:
        run = new_run_id()
        directory = "" if self._site.host else str(work_folder(self._home, self._site) / "runs" / run)
        opening = OpenRun(run, Settings(), directory, "", engine=AUTO, owner="check")
        return SitePool(opening, connector_of(self._site, self._home, run, notify), notify)

    async def _containers(self) -> str:
        assert self._seen is not None
        told = self._site.containers
        if self._engine or not self._site.host:
            return self._engine or "as on this machine"
        if not told:
            return "none: steps that require one cannot run here"
        raise UserError(
            f"none of {', '.join(told)} works there",
            hint="install one, load its module by `modules:` or `setup:`, or leave out `containers` of the site",
        )

    async def _pilot(self) -> str:
        """A job goes all the way: submission, launcher, worker, and back."""
        notices: list[str] = []
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()

        def hear(text: str) -> None:
            notices.append(text)
            if NO_CALL in text:  # the agent would try it again
                outcomes.put_nowait(Outcome(job=0, ending="failed", error=text))

        pool = self._pool(hear)
        await pool.open(lambda found: outcomes.put_nowait(found[0]))
        with tempfile.TemporaryDirectory() as here:
            directory = f"{pool.opened.directory or here}/jobs/0/0"
            pool.learn(CHECK.digest, msgspec.msgpack.encode(CHECK))
            grant = Grant(cores=1, ram=64, tmpdir=1, outdir=1)
            pool.submit([Task(job=0, program=CHECK.digest, process=0, inputs={}, directory=directory, grant=grant)])
            try:
                async with asyncio.timeout(self._wait):
                    outcome = await outcomes.get()
            except TimeoutError:
                return f"no pilot has started within {self._wait:.0f} s: it queues, and may be right"
            finally:
                await pool.close(kill=True, clean=True)
        if outcome.ending != "done":
            raise UserError(outcome.error, hint=self._pilot_advice(outcome.error))
        started = next((text for text in notices if "started" in text), "a pilot runs already")
        if BY_FILES in started:
            return f"{started} (slower: let nodes reach the login node's ports, or say `transport: spool`)"
        return started

    def _pilot_advice(self, error: str) -> str:
        if NO_CALL in error:
            silent = "\n" not in error
            seen = f"do all nodes see {self._work} (`work`) and cwlbalsam's Python?"
            return seen if silent else f"{seen} What the batch job printed is above"
        return "see `queue`, `account`, `constraint` and `extra` under `scheduler` in the site file"

    async def _transfers(self) -> AsyncIterator[Finding]:
        if not self._site.host and not self._site.transfers.ways:
            yield Finding("transfers", "ok", "none are needed: it sees this machine's files")
            return
        with tempfile.TemporaryDirectory(prefix="cwlbalsam-check-") as folder:
            here, there = home_endpoint(folder), endpoint_of(self._site, self._work)
            async for name, error in check_transfers(here, there, self._site.transfers.ways, Path(folder)):
                advice = "mend it at the site, or leave the protocol out of `transfers`" if error else ""
                yield Finding(name, "failed" if error else "ok", error, advice)


async def _tried(name: str, step: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, "ok", await step())
    except UserError as error:
        problem = error.problems[0]
        return Finding(name, "failed", problem.message, problem.hint)
    except (OSError, asyncio.IncompleteReadError) as error:
        return Finding(name, "failed", str(error) or "the connection was cut", "try it again")


def _login_advice(site: Site, words: str) -> str:
    if "host key" in words.lower():
        return f"the host's key is not the one you know: ask its administrator, then `ssh-keygen -R {site.host}`"
    if "denied" in words.lower():
        return f"`ssh {site.host} true` must work without a question: load a key (ssh-add), or name it in ~/.ssh/config"
    return f"is `host: {site.host}` right, and the machine up? Try `ssh {site.host} true`"
