"""Agents of sites on other machines, reached over ssh by `cwlbalsam agent NAME --stdio` there."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam import __version__
from cwlbalsam.errors import UserError
from cwlbalsam.executor.site_pool import Connect, Speaking
from cwlbalsam.executor.wires.line import Caller, Streams
from cwlbalsam.service.endpoints import agent_command
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.transfers.base import Trouble
from cwlbalsam.sites.transfers.failures import classify, message_of
from cwlbalsam.sites.transfers.process import end

MARK = b"cwlbalsam-agent "
"""Begins the answer; what a login's start-up files print comes before it."""
ANSWER_SECONDS = 120.0
NOT_FOUND = {126, 127}
PAUSE_SECONDS = 5.0
END_SECONDS = 2.0


class Call(Struct, frozen=True):
    """The first line to the program at the site. site: how this side describes it."""

    version: str
    site: Site


class Answer(Struct, frozen=True):
    """Its first line. error: why there is no agent."""

    version: str
    error: str = ""
    hint: str = ""


class Unreachable(OSError):
    """No ssh to the site, which may pass."""

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message)
        self.trouble = trouble


def connector(site: Site, run: str, notify: Callable[[str], None]) -> Connect:
    """Reaches the agent for a run: the first time at once or not at all, then patiently."""
    reached = False

    async def connect() -> tuple[asyncio.StreamReader, Speaking]:
        nonlocal reached
        while True:
            bridge = Bridge(site)
            caller = Caller(run, bridge.dial, lambda text: notify(f"site {site.name}: {text}"))
            try:
                await caller.start()
            except OSError as error:
                if not reached:
                    raise unreachable(site, error) from error
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            reached = True
            return caller.line.reader, _Called(caller, bridge)

    return connect


class _Called:
    """A line, whose end is the end of the program that carries it."""

    def __init__(self, caller: Caller, bridge: "Bridge") -> None:
        self._caller, self._bridge = caller, bridge

    def write(self, data: bytes) -> None:
        self._caller.line.write(data)

    def close(self) -> None:
        self._caller.line.close()

    async def wait_closed(self) -> None:
        await self._caller.line.wait_closed()
        await self._caller.stop()
        await self._bridge.end()


class Bridge:
    """The program that carries a line, and its followers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._process: asyncio.subprocess.Process | None = None

    async def dial(self) -> Streams:
        """See `dial`."""
        await self.end()
        self._process = await start_bridge(self._site)
        return await dial(self._site, self._process)

    async def end(self) -> None:
        """It ends by itself when its input does."""
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                await end(self._process)


def unreachable(site: Site, error: OSError) -> UserError:
    login = isinstance(error, Unreachable) and error.trouble is Trouble.LOGIN
    way_out = f"`ssh {site.host} true` must work without a question" + (" (ssh-agent, or a key)" if login else "")
    return UserError(f"site '{site.name}' cannot be reached: {error}", hint=way_out)


async def start_bridge(site: Site) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *agent_command(site),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def dial(site: Site, process: asyncio.subprocess.Process) -> Streams:
    """A connection to the agent's lines. Raises Unreachable, or UserError if cwlbalsam there does not do."""
    assert process.stdin and process.stdout and process.stderr
    told = replace(site, host="", file="", ssh_config="")
    process.stdin.write(msgspec.json.encode(Call(__version__, told)) + b"\n")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await _answer(process.stdout)
    except (TimeoutError, OSError, ValueError):
        answer = None
    if answer is None:
        raise await _why(site, process)
    if answer.error:
        process.stdin.close()
        raise UserError(f"site '{site.name}': {answer.error}", hint=answer.hint)
    return process.stdout, process.stdin


ENDING_SECONDS = 5.0


async def _answer(reader: asyncio.StreamReader) -> Answer | None:
    while line := await reader.readline():
        if line.startswith(MARK):
            return msgspec.json.decode(line.removeprefix(MARK), type=Answer)
    return None


async def _why(site: Site, process: asyncio.subprocess.Process) -> Exception:
    """What the end of a program that gave no answer means."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), ENDING_SECONDS)  # its own code says more than that of our signal
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    assert process.stderr
    said = (await process.stderr.read()).decode("utf-8", "replace")
    code = await process.wait()
    message = message_of(said) or f"ssh ended with code {code}"
    if code in NOT_FOUND or "No such command" in said:
        hint = (
            f"install the same version there (`pip install cwlbalsam=={__version__}`), on the PATH that "
            f"`ssh {site.host} env` shows, or say where it is: `command: ~/venv/bin/cwlbalsam` in the site file"
        )
        return UserError(f"site '{site.name}': cwlbalsam does not start on {site.host}: {message}", hint=hint)
    return Unreachable(message, classify(said))
