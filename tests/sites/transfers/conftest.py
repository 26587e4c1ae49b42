"""Sites on this machine, with real servers: `home` is here, `a` and `b` are reached over ssh, GridFTP and HTTP."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.sites.transfers import CARRIERS
from cwlbalsam.sites.transfers.base import Batch, Carrier, Collection, Endpoint, Item, Progress, Result, WebRoot
from cwlbalsam.sites.transfers.carry import carry
from cwlbalsam.sites.transfers.globus import Globus
from cwlbalsam.sites.transfers.sessions import end_sessions
from cwlbalsam.sites.transfers.ssh import close_command
from tests.conftest import missing
from tests.globus import GlobusService
from tests.servers import Daemon, GridFtpServer, Sshd, WebServer, find_server, serving

MEMORY = Path("/dev/shm")
ROOM_BYTES = 10 << 30
PROGRAMS = ("sshd", "scp", "rsync", "globus-gridftp-server", "globus-url-copy")
ROUTES = (
    *((name, "home", "there") for name in ("hardlink", "symlink", "copy")),
    *((name, *ends) for name in ("scp", "rsync") for ends in (("home", "b"), ("a", "home"))),
    *(("tar", *ends) for ends in (("home", "b"), ("a", "home"), ("a", "b"))),
    *(("gridftp", *ends) for ends in (("home", "b"), ("a", "home"), ("a", "b"))),
    *(("http", *ends) for ends in (("a", "home"), ("a", "b"), ("a", "store"))),
    *(("globus", *ends) for ends in (("a", "b"), ("a", "vault"))),
)
"""(protocol, source, target)"""


SITES = ("home", "there", "a", "b", "weak", "store", "vault")


class Sites:
    """The servers, and an endpoint for each site, all below one folder.

    there: another folder of this machine. weak: its user may not read everything. store: reached by HTTP alone; vault:
    by Globus alone.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in SITES:
            (top / name).mkdir()
        self.sshd = {name: Sshd(top / f"ssh-{name}", weak=name == "weak") for name in ("a", "b", "weak")}
        self.gridftp = {name: GridFtpServer(top / f"gridftp-{name}", top) for name in ("a", "b")}
        self.web = {name: WebServer(top / name) for name in ("a", "store")}
        self.globus = GlobusService()
        self.carriers: dict[str, Carrier] = {**CARRIERS, "globus": Globus(self._connect)}
        self.endpoints = {name: self._endpoint(name) for name in SITES}

    def servers(self) -> list[Daemon | WebServer]:
        return [*self.sshd.values(), *self.gridftp.values(), *self.web.values()]

    def _endpoint(self, name: str) -> Endpoint:
        folder = self.top / name
        web, globus = self.web.get(name), name in ("a", "b", "vault")
        return Endpoint(
            site=name,
            root=str(folder),
            local=name in ("home", "there"),
            ssh=self.sshd[name].ssh if name in self.sshd else None,
            gridftp=self.gridftp[name].url if name in self.gridftp else "",
            web=WebRoot(url=web.url, base=str(folder)) if web else None,
            globus=Collection(id=self.globus.add(folder), base=str(folder)) if globus else None,
        )

    def _connect(self) -> Any:
        from globus_sdk import AccessTokenAuthorizer, TransferClient

        token = self.globus.token({"grant_type": "refresh_token"}, "")["access_token"]
        return TransferClient(authorizer=AccessTokenAuthorizer(token), base_url=self.globus.url)


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    """The same servers for all tests of one process. In memory, if there is room: disks slow down by such tests."""
    lacking = [name for name in PROGRAMS if not find_server(name)]
    if lacking:
        missing(f"the tests of transfers need {', '.join(lacking)}: run scripts/servers as root")
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(prefix="sites-", dir=MEMORY if roomy else None) as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        found = Sites(Path(folder))
        found.globus.start()
        with serving(*found.servers()):
            yield found
            for server in found.sshd.values():
                subprocess.run(close_command(server.ssh), capture_output=True, check=False)
        found.globus.kill()


@pytest.fixture(scope="session")
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Runs a coroutine in the one loop of this process."""
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(end_sessions())


class Workplace:
    """One test's folders at two sites, and a way between them by one protocol."""

    def __init__(self, sites: Sites, run: Callable[..., Any], route: tuple[str, str, str], name: str) -> None:
        self.sites = sites
        self._run = run
        self.protocol, source, target = route
        self.carrier = sites.carriers[self.protocol]
        self.name = f"{name}-{'-'.join(route)}"
        self.source, self.target = sites.endpoints[source], sites.endpoints[target]
        self.out, self.into = Path(self.source.root, self.name), Path(self.target.root, self.name)
        self.out.mkdir()
        self.seen: list[Progress] = []

    def item(self, path: str, **more: Any) -> Item:
        return Item(source=f"{self.out}/{path}", target=f"{self.into}/{path}", **more)

    def batch(self, *items: Item, read_only: bool = True) -> Batch:
        return Batch(id=self.name, source=self.source, target=self.target, items=items, read_only=read_only)

    def carry(self, *items: Item, carrier: Carrier | None = None, resume: bool = False, **more: Any) -> list[Result]:
        batch = self.batch(*items, **more)
        results: list[Result] = self._run(carry(carrier or self.carrier, batch, self.seen.append, resume=resume))
        return results

    def left_over(self) -> list[Path]:
        """What is in the folders of this test's batch."""
        ends = Path(self.source.root), Path(self.target.root)
        return [path for end in ends for path in end.glob(f".transfers/{self.name}*/*/*")]


@pytest.fixture
def workplace(
    sites: Sites, run: Callable[..., Any], request: pytest.FixtureRequest
) -> Iterator[Callable[[tuple[str, str, str]], Workplace]]:
    """Makes workplaces for routes."""
    made: list[Workplace] = []

    def make(route: tuple[str, str, str]) -> Workplace:
        made.append(Workplace(sites, run, route, request.node.originalname[:60]))
        return made[-1]

    yield make
    for place in made:
        subprocess.run(["rm", "-rf", place.out, place.into], check=True)
