"""Transfers between sites on this machine, by each protocol and by its bare tool, in turn, over real servers."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec import Struct

from benchmarks.compare import Row
from benchmarks.measure import Sample
from cwlbalsam.sites.transfers import CARRIERS
from cwlbalsam.sites.transfers.base import Batch, Endpoint, Item, Progress
from cwlbalsam.sites.transfers.carry import carry
from cwlbalsam.sites.transfers.sessions import end_sessions
from cwlbalsam.sites.transfers.ssh import CIPHERS, close_command
from tests.servers import GridFtpServer, Sshd, serving

TITLE = "A file of 1 GiB by each protocol and its bare tool; JOBS files of 4 KiB between two ssh sites"
JOBS = 10_000
LARGE_BYTES = 1 << 30
SMALL_BYTES = 4096
ONE_BY_ONE = 20
"""So many files scp really copies one by one; its time is multiplied."""
Act = Callable[[Path], Awaitable[float]]


class Contest(Struct):
    """One case. acts: what each runner does, with an empty folder to fill; it returns a factor for the time."""

    case: str
    jobs: int
    acts: dict[str, Act]
    size: int


class Sites:
    """home is this machine; a and b are reached over ssh and GridFTP."""

    def __init__(self, top: Path) -> None:
        for name in ("home", "a", "b"):
            (top / name).mkdir()
        self.top = top
        self.sshd = {name: Sshd(top / f"ssh-{name}") for name in ("a", "b")}
        self.gridftp = {name: GridFtpServer(top / f"gridftp-{name}", top) for name in ("a", "b")}
        self.home = Endpoint(site="home", root=str(top / "home"), local=True)
        self.a, self.b = (self._endpoint(name) for name in ("a", "b"))

    def _endpoint(self, name: str) -> Endpoint:
        ssh, gridftp = self.sshd[name].ssh, self.gridftp[name].url
        return Endpoint(site=name, root=str(self.top / name), ssh=ssh, gridftp=gridftp)


def measure(jobs: int, repeat: int, work: Path | None, tell: Callable[[str], None]) -> list[Row]:
    """All contests, round after round."""
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-transfers-", dir=work) as folder:
        sites = Sites(Path(folder))
        with serving(*sites.sshd.values(), *sites.gridftp.values()), asyncio.Runner() as runner:
            rows = runner.run(_measure(sites, jobs, repeat, tell))
            for server in sites.sshd.values():
                subprocess.run(close_command(server.ssh), capture_output=True, check=False)
    return rows


async def _measure(sites: Sites, jobs: int, repeat: int, tell: Callable[[str], None]) -> list[Row]:
    rows: dict[tuple[str, str], Row] = {}
    large, small = _large(sites), _small(sites, jobs)
    for number in range(repeat):
        for contest in [*_by_protocol(sites, large), *_many(sites, small)]:
            for name, act in contest.acts.items():
                row = rows.setdefault((contest.case, name), Row(case=contest.case, jobs=contest.jobs, runner=name))
                sample = await _once(sites, contest, act)
                row.samples.append(sample)
                tell(f"round {number + 1}: {contest.case}, {name}: {sample.wall_seconds:.2f} s")
    await end_sessions()
    return list(rows.values())


async def _once(sites: Sites, contest: Contest, act: Act) -> Sample:
    """The time, with what has arrived looked at."""
    into = sites.top / "b" / "into"
    into.mkdir()
    cpu, started = os.times(), time.perf_counter()
    factor = await act(into)
    seconds, now = time.perf_counter() - started, os.times()
    arrived = sum(path.stat().st_size for path in into.rglob("*") if path.is_file())
    if round(arrived * factor) != contest.size:
        raise RuntimeError(f"{contest.case}: {arrived} bytes have arrived of {contest.size}")
    shutil.rmtree(into)
    used = sum(now[:4]) - sum(cpu[:4])
    return Sample(wall_seconds=seconds * factor, cpu_seconds=used * factor, peak_bytes=0, exit_code=0)


def _large(sites: Sites) -> Path:
    path = sites.top / "home" / "large"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(LARGE_BYTES >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    os.link(path, sites.top / "a" / "large")
    return path


def _small(sites: Sites, jobs: int) -> list[Path]:
    folder = sites.top / "a" / "small"
    folder.mkdir()
    paths = [folder / str(number) for number in range(jobs)]
    for path in paths:
        path.write_bytes(os.urandom(SMALL_BYTES))
    return paths


def _by_protocol(sites: Sites, large: Path) -> Iterator[Contest]:
    ssh = sites.sshd["b"].ssh
    plain = ["-F", ssh.config, "-i", ssh.identity, "-o", f"Port={ssh.port}", "-o", f"User={ssh.user}"]
    bare: dict[str, Callable[[Path], list[str]]] = {
        "scp": lambda into: ["scp", "-q", *plain, str(large), f"{ssh.host}:{into}/"],
        "rsync": lambda into: ["rsync", f"--rsh=ssh {' '.join(plain)}", str(large), f"{ssh.host}:{into}/"],
    }
    for name, argv in bare.items():
        acts = {"cwlbalsam": _ours(name, sites.home, sites.b, [large]), name: _theirs(argv)}
        acts[f"{name}, our cipher"] = _theirs(partial(_with_cipher, argv))
        if name == "scp" and importlib.util.find_spec("asyncssh"):
            acts["asyncssh"] = _asyncssh(sites, [large])
        yield Contest(f"1 GiB by {name}", 1, acts, LARGE_BYTES)
    source, target = sites.gridftp["a"].url, sites.gridftp["b"].url
    path = sites.top / "a" / "large"
    copy = _theirs(lambda into: ["globus-url-copy", "-p", "4", f"{source}{path}", f"{target}{into}/large"])
    acts = {"cwlbalsam": _ours("gridftp", sites.a, sites.b, [path]), "globus-url-copy": copy}
    yield Contest("1 GiB by GridFTP, server to server", 1, acts, LARGE_BYTES)
    relay = _theirs(lambda into: ["scp", "-q", "-3", *_both(sites), f"A:{path}", f"B:{into}/"])
    acts = {"cwlbalsam": _ours("tar", sites.a, sites.b, [path]), "scp -3": relay}
    yield Contest("1 GiB by tar, site to site", 1, acts, LARGE_BYTES)


def _with_cipher(argv: Callable[[Path], list[str]], into: Path) -> list[str]:
    """What the protocol itself costs is seen where the bare tool has the same cipher."""
    name, first, *rest = argv(into)
    if name == "rsync":
        return [name, f"{first} -o Ciphers={CIPHERS}", *rest]
    return [name, "-o", f"Ciphers={CIPHERS}", first, *rest]


def _many(sites: Sites, paths: list[Path]) -> Iterator[Contest]:
    def one_by_one(into: Path) -> list[str]:
        words = " ".join(_both(sites))
        copies = f'scp -q -3 {words} "A:$f" B:{into}/ || exit 1'
        return ["sh", "-c", f"for f do {copies}; done", "sh", *map(str, paths[:ONE_BY_ONE])]

    folder = _theirs(lambda into: ["scp", "-q", "-r", "-3", *_both(sites), f"A:{paths[0].parent}", f"B:{into}/"])
    acts = {
        "cwlbalsam": _ours("tar", sites.a, sites.b, paths),
        f"scp one by one (of {ONE_BY_ONE})": _theirs(one_by_one, len(paths) / ONE_BY_ONE),
        "scp -r": folder,
    }
    yield Contest("small files, site to site", len(paths), acts, len(paths) * SMALL_BYTES)


def _both(sites: Sites) -> list[str]:
    """A configuration that knows both sites, for scp -3."""
    file = sites.top / "both"
    lines = []
    for name, server in (("A", sites.sshd["a"]), ("B", sites.sshd["b"])):
        known = (server.log.parent / "known_hosts").as_posix()
        lines.append(f"Host {name}\n HostName {server.ssh.host}\n Port {server.ssh.port}\n User {server.ssh.user}\n")
        lines.append(f" IdentityFile {server.ssh.identity}\n UserKnownHostsFile {known}\n")
    file.write_text("".join(lines))
    return ["-F", str(file)]


def _ours(protocol: str, source: Endpoint, target: Endpoint, paths: list[Path]) -> Act:
    async def act(into: Path) -> float:
        items = [Item(source=str(path), target=f"{into}/{path.name}", size=path.stat().st_size) for path in paths]
        batch = Batch(id=f"bench-{protocol}", source=source, target=target, items=items)
        results = await carry(CARRIERS[protocol], batch, _ignore)
        failed = [result.message for result in results if not result.arrived]
        if failed:
            raise RuntimeError(failed[0])
        return 1.0

    return act


def _ignore(progress: Progress) -> None:
    return


def _theirs(argv: Callable[[Path], list[str]], factor: float = 1.0) -> Act:
    async def act(into: Path) -> float:
        process = await asyncio.create_subprocess_exec(*argv(into), stdin=asyncio.subprocess.DEVNULL)
        if await process.wait():
            raise RuntimeError(f"{argv(into)[0]} ended with code {process.returncode}")
        return factor

    return act


def _asyncssh(sites: Sites, paths: list[Path]) -> Act:
    async def act(into: Path) -> float:
        import asyncssh

        ssh = sites.sshd["b"].ssh
        known = str(sites.sshd["b"].log.parent / "known_hosts")
        where = {"host": ssh.host, "port": ssh.port, "username": ssh.user, "known_hosts": known}
        async with asyncssh.connect(**where, client_keys=[ssh.identity]) as login, login.start_sftp_client() as sftp:
            await sftp.put([str(path) for path in paths], f"{into}/")
        return 1.0

    return act
