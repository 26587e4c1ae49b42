"""`python -m cwlbalsam.service.site_agent HOME SITE`: the process of a site's agent."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import msgspec

from cwlbalsam.cwl.tasks import PilotKind, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.agent import Agent
from cwlbalsam.executor.allocation import addresses, listening_socket
from cwlbalsam.executor.batch import BatchSystem
from cwlbalsam.executor.mpi_jobs import with_launch
from cwlbalsam.executor.pilot import PilotFile, Starter, Transport
from cwlbalsam.executor.pilots import Pilots
from cwlbalsam.executor.served import Rules
from cwlbalsam.executor.site_limits import SiteLimits, limits_of
from cwlbalsam.executor.wires.line import Switchboard
from cwlbalsam.executor.wires.tcp import listen
from cwlbalsam.planner.start_order import ORDERS
from cwlbalsam.service.agents import DOOR, LINES, SITE_FILE, agent_folder, hold_lock, socket_path, work_folder
from cwlbalsam.service.guests import SiteGuests
from cwlbalsam.service.home import Home
from cwlbalsam.service.site_files import look_closely
from cwlbalsam.sites.schedulers import SCHEDULERS, ask
from cwlbalsam.sites.site import Site, batch_request

LINGER_SECONDS = 30.0
"""An agent without runs and pilots ends after this."""
LEASE_SECONDS = 60.0
STARTERS: dict[str, Starter] = {"slurm": "srun", "local": "local"}


async def serve_site(home: Home, told: Site) -> None:
    """Until nobody needs the site, or SIGTERM. Raises UserError if its machine does not answer."""
    if told.starter == "mpi" and importlib.util.find_spec("mpi4py") is None:
        raise UserError(f"the MPI ensemble of site '{told.name}' needs mpi4py", hint="pip install 'cwlbalsam[mpi]'")
    seen = await look_closely(told)
    if seen.trouble:  # jobs are tried all the same
        print(seen.trouble, file=sys.stderr, flush=True)
    site = seen.site

    @cache
    def limits(queue: str) -> SiteLimits:
        return limits_of(site, seen.state, queue)

    pilots: Pilots

    def changed() -> None:
        pilots.changed()

    def launching(task: Task) -> Task:
        return with_launch(task, site)

    def check(task: Task) -> None:
        limits(task.grant.pilot.queue).check(task)

    guests = SiteGuests(home, site, work_folder(home, told).resolve())
    agent = Agent(Rules(check, launching, changed), order=ORDERS[site.order], guests=guests)
    folder = work_folder(home, told) / "pilots"
    pilots = Pilots(agent, _batch_system(site), folder, limits, _pilot_file(site, limits("")), seen.state)
    await pilots.recover()
    door = listening_socket()
    pilots.listen_at(addresses(door.getsockname()[1]))
    server = await listen(pilots.known, door)
    lines = Switchboard(agent.serve)
    doors = [await _listen(home, site, LINES, lines.answer), await _listen(home, site, DOOR, agent.serve)]
    deciding = asyncio.create_task(pilots.run())
    await _until_over(agent, pilots, deciding, limits(""), lines)
    for path, runs in doors:
        path.unlink(missing_ok=True)
        runs.close()
    deciding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await deciding
    await pilots.close()
    server.close()


async def site_limits(told: Site, kind: PilotKind) -> SiteLimits:
    """What pilots of a kind could ever run. Raises UserError if its queue, account or constraint is not there."""
    seen = await look_closely(told)
    limits = limits_of(seen.site, seen.state, kind.queue)
    if kind.account or kind.constraint:
        with tempfile.TemporaryDirectory() as folder:
            await _batch_system(seen.site).try_out(Path(folder), int(limits.pilots.wall_seconds), kind)
    return limits


async def _listen(
    home: Home, site: Site, door: str, answer: Callable[..., Awaitable[None]]
) -> tuple[Path, asyncio.Server]:
    path = socket_path(agent_folder(home, site.name), door)
    path.unlink(missing_ok=True)
    return path, await asyncio.start_unix_server(answer, str(path))


async def _until_over(
    agent: Agent, pilots: Pilots, deciding: asyncio.Task[None], limits: SiteLimits, lines: Switchboard
) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    alone_since = time.monotonic()
    while not over.is_set() and not deciding.done():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await over.wait()
        lines.give_up()
        if agent.clients or len(pilots) or limits.pilots.least:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > LINGER_SECONDS:
            return


def _batch_system(site: Site) -> BatchSystem:
    form = batch_request(site, name="", body="", directory="", output="")
    return BatchSystem(ask.Site(scheduler=SCHEDULERS[site.scheduler.kind]), form)


def _pilot_file(site: Site, limits: SiteLimits) -> PilotFile:
    kind = site.scheduler.kind
    machine = {"cores": site.nodes.cores, "ram": site.nodes.memory_megabytes, "gpus": site.nodes.gpus}
    return PilotFile(
        session="",
        site=site.name,
        scheduler=kind,
        starter=cast("Starter", site.starter) or STARTERS.get(kind, "ssh"),
        python=sys.executable,
        wall_seconds=limits.pilots.wall_seconds,
        lease_seconds=site.lease_seconds or LEASE_SECONDS,
        transport=cast("Transport", site.transport) or "auto",
        scratch=site.scratch,
        machine={name: float(count) for name, count in machine.items() if count},
        mpi=site.mpi,
    )


def main(arguments: Sequence[str]) -> int:
    home = Home(Path(arguments[0]))
    folder = agent_folder(home, arguments[1])
    handle = hold_lock(folder)
    if handle is None:
        return 0  # another one serves the site
    site = msgspec.json.decode((folder / SITE_FILE).read_bytes(), type=Site)
    try:
        asyncio.run(serve_site(home, site))
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        os.close(handle)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
