"""The sites that are described in `sites.yml`, and the agents that serve them."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import UserError, did_you_mean
from cwlbalsam.executor.agent import Agent
from cwlbalsam.executor.allocation import addresses, listening_socket
from cwlbalsam.executor.batch import BatchSystem
from cwlbalsam.executor.fitting import Fitting, check_queue, fitting_of
from cwlbalsam.executor.messages import OpenRun, framed
from cwlbalsam.executor.mpi_jobs import MpiSetup
from cwlbalsam.executor.pilot import PilotFile, Starter, Transport
from cwlbalsam.executor.pilots import Pilots
from cwlbalsam.executor.wires.tcp import listen
from cwlbalsam.planner.demand import PilotLimits
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.sites.schedulers import SCHEDULERS, ask
from cwlbalsam.sites.schedulers.base import BatchRequest

LINGER_SECONDS = 30.0
"""An agent without runs and pilots ends after this."""
START_SECONDS = 60.0
MAX_SOCKET_PATH = 100


class Site(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = ""
    workdir: str = ""
    scheduler: str = "local"
    queue: str = ""
    account: str = ""
    constraint: str = ""
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    starter: Starter | None = None
    transport: Transport = "auto"
    scratch: str = ""
    nodes: dict[str, float] = {}
    pilots: PilotLimits = PilotLimits()
    lease_seconds: float = 60.0
    mpi: MpiSetup = MpiSetup()


def load_sites(home: Home) -> dict[str, Site]:
    from ruamel.yaml import YAML

    path = home.path / "sites.yml"
    tree: Mapping[str, Any] = YAML(typ="safe").load(path.read_text()) if path.exists() else {}
    sites = {name: msgspec.structs.replace(msgspec.convert(value, Site), name=name) for name, value in tree.items()}
    return sites


def sites_home_of(options: RunOptions, home: Home) -> Home:
    """Where the sites of a run are described, and their agents live."""
    return Home(Path(options.sites_home)) if options.sites_home else home


def find_site(home: Home, name: str) -> Site:
    sites = load_sites(home)
    if name not in sites:
        raise UserError(f"no site '{name}'", hint=did_you_mean(name, sites, "`cwlbalsam site ls` lists the sites"))
    return sites[name]


# --- the agent's process ---


def agent_folder(home: Home, site: str) -> Path:
    return home.path / "sites" / site


def socket_path(folder: Path) -> Path:
    """Where the agent listens; in the folder for temporary files if the path would be too long for a socket."""
    path = folder / "agent.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    short = Path(tempfile.gettempdir(), f"cwlbalsam-{os.geteuid()}")
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise UserError(f"{short} is not yours alone", hint="choose a shorter home directory (--home)")
    return short / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


async def connect(home: Home, site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Reach the site's agent; start it if there is none. Raises UserError."""
    folder = agent_folder(home, site.name)
    until = time.monotonic() + START_SECONDS
    process = None
    while True:
        with contextlib.suppress(OSError):
            return await asyncio.open_unix_connection(str(socket_path(folder)))
        if process is None or process.poll() == 0:  # 0: there was another one, which has not opened or just closed
            process = start_agent(home, site)
        elif process.poll() is not None:
            raise UserError(f"the agent of site '{site.name}' does not start", hint=f"see {folder / 'agent.log'}")
        if time.monotonic() > until:
            raise UserError(f"the agent of site '{site.name}' does not answer", hint=f"see {folder / 'agent.log'}")
        await asyncio.sleep(0.05)


def confirm_ended(home: Home, site: Site, run: str) -> None:
    """Wait until nothing of a run's jobs lives at the site any more. Raises UserError if the site does not tell."""

    async def ask_agent() -> None:
        reader, writer = await connect(home, site)
        writer.write(framed(OpenRun(run, Settings(), "", "")))
        await reader.readexactly(4)  # it takes a run when its former part has ended
        writer.close()

    try:
        asyncio.run(ask_agent())
    except (OSError, asyncio.IncompleteReadError):
        raise UserError(f"the agent of site '{site.name}' has ended", hint="resume the run again") from None


def start_agent(home: Home, site: Site) -> subprocess.Popen[bytes]:
    folder = agent_folder(home, site.name)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cwlbalsam.service.sites", str(home.path), site.name]
    with (folder / "agent.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def _batch_system(site: Site) -> BatchSystem:
    form = BatchRequest(
        name="",
        body="",
        directory="",
        output="",
        queue=site.queue,
        account=site.account,
        constraint=site.constraint,
        extra=site.extra,
        setup=site.setup,
    )
    return BatchSystem(ask.Site(scheduler=SCHEDULERS[site.scheduler]), form)


async def run_agent(home: Home, site: Site) -> None:
    """Serve a site until nobody needs it."""
    folder = agent_folder(home, site.name)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one serves it
    batch = _batch_system(site)
    fitting = await _fittings(site, batch)
    pilots: Pilots

    def changed() -> None:
        pilots.changed()

    agent = Agent(
        check=lambda task: fitting(task.grant.pilot.queue).check(task),
        launching=lambda task: site.mpi.with_launch(task, site.scheduler),
        changed=changed,
    )

    def make_file(session: str, wall_seconds: float) -> PilotFile:
        return PilotFile(
            session=session,
            site=site.name,
            scheduler=site.scheduler,
            starter=site.starter or ("srun" if site.scheduler == "slurm" else "local"),
            python=sys.executable,
            wall_seconds=wall_seconds,
            lease_seconds=site.lease_seconds,
            transport=site.transport,
            scratch=site.scratch,
            machine=site.nodes,
        )

    workdir = Path(site.workdir) if site.workdir else folder
    pilots = Pilots(agent, batch, workdir / "pilots", site.pilots, make_file, fitting)
    await pilots.recover()
    door = listening_socket()
    pilots.listen_at(addresses(door.getsockname()[1]))
    server = await listen(pilots.known, door)
    path = socket_path(folder)
    path.unlink(missing_ok=True)
    doors = await asyncio.start_unix_server(agent.serve, str(path))
    running = asyncio.create_task(pilots.run())
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    lonely_since = time.monotonic()
    while not over.is_set() and not running.done():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await over.wait()
        if agent.clients or len(pilots):
            lonely_since = time.monotonic()
        elif time.monotonic() - lonely_since > LINGER_SECONDS:
            break
    path.unlink(missing_ok=True)
    doors.close()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await pilots.close()
    server.close()


async def site_fitting(site: Site, queue: str = "") -> Fitting:
    """What pilots of a queue (the site's) could ever run. Raises UserError if there is none of that name."""
    return (await _fittings(site, _batch_system(site)))(queue)


async def _fittings(site: Site, batch: BatchSystem) -> Callable[[str], Fitting]:
    """By queue."""
    state = None
    try:
        state = await batch.machine()
    except UserError as error:  # jobs are still tried
        print(error, file=sys.stderr, flush=True)
    found: dict[str, Fitting] = {}

    def fitting(queue: str) -> Fitting:
        if queue not in found:
            if queue:  # of the site's own queue its scheduler has the word
                check_queue(site.name, state, queue)
            found[queue] = fitting_of(site.name, state, queue or site.queue, site.nodes, site.pilots)
        return found[queue]

    return fitting


def main(arguments: Sequence[str]) -> None:
    home = Home(Path(arguments[0]))
    asyncio.run(run_agent(home, find_site(home, arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
