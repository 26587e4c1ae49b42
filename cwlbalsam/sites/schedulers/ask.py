"""The one place where a scheduler's commands run: with a time limit, asked again when it is busy, in its own words."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from msgspec import Struct, structs

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.batch import BatchState, MachineState
from cwlbalsam.sites.schedulers.base import Scheduler, shapes_of

LIMIT_SECONDS = 60.0
PAUSES_SECONDS = (1.0, 4.0, 15.0)
"""Before a busy scheduler is asked again."""
MOST_IDS = 500
"""Batch ids in one command line."""
ALIVE = frozenset([BatchState.QUEUED, BatchState.HELD, BatchState.RUNNING])
WORDS = 2000
"""Characters of a scheduler's words that an error repeats."""
TOO_LONG, NO_COMMAND = 124, 127
"""As timeout(1) and shells have it."""


class Answer(Struct, frozen=True):
    """What a command printed, and its exit code: TOO_LONG if it was ended for that, NO_COMMAND if there is none."""

    code: int
    output: str
    words: str

    @property
    def all(self) -> str:
        """Both streams: some schedulers tell what matters on the one, some on the other."""
        return f"{self.output}\n{self.words}"


Run = Callable[[Sequence[str], float], Awaitable[Answer]]
"""Runs a command for so many seconds at most; of a remote site over its connection."""


async def run_here(command: Sequence[str], seconds: float) -> Answer:
    """Run on this machine; never raises for what the command does. Ends its whole group when the time is up."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte
        return Answer(NO_COMMAND, "", f"{command[0]}: {error}")
    try:
        output, words = await asyncio.wait_for(process.communicate(), seconds)
    except (TimeoutError, asyncio.CancelledError) as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        return Answer(TOO_LONG, "", f"no answer within {seconds:g} seconds")
    return Answer(process.returncode or 0, output.decode(errors="replace"), words.decode(errors="replace"))


class Site(Struct, frozen=True, kw_only=True):
    """A scheduler, and how its commands are run."""

    scheduler: Scheduler
    run: Run = run_here
    seconds: float = LIMIT_SECONDS
    pauses: tuple[float, ...] = PAUSES_SECONDS


async def submit(site: Site, path: str, name: str) -> str:
    """The batch id of what was submitted. path: of the script, where the commands run; name: of the request, unique.

    A busy scheduler may have taken what it did not answer: before it is asked again, its queue is searched for the
    name. Raises UserError in the scheduler's words.
    """
    scheduler = site.scheduler
    command = scheduler.submit_command(path)
    for pause in (*site.pauses, None):
        answer = await site.run(command, site.seconds)
        batch_id = scheduler.parse_submit(answer.output)
        if answer.code == 0 and batch_id:
            return batch_id
        if pause is None or not _is_busy(site, answer):
            break
        await asyncio.sleep(pause)
        taken = await _find(site, name)
        if taken:
            return taken
    raise _error(f"the batch job {name!r} was not submitted", command, answer)


async def _find(site: Site, name: str) -> str:
    command = site.scheduler.jobs_command()
    if not command:
        return ""
    answer = await site.run(command, site.seconds)
    jobs = site.scheduler.parse_jobs(answer.output, time.time())
    return next((job.id for job in jobs if job.name == name), "")


async def statuses(site: Site, batch_ids: Sequence[str]) -> dict[str, BatchState]:
    """Of every batch id; UNKNOWN for those that the scheduler has forgotten. Raises UserError if it does not answer."""
    found: dict[str, BatchState] = {}
    for start in range(0, len(batch_ids), MOST_IDS):
        some = batch_ids[start : start + MOST_IDS]
        found |= await _status(site, some, site.scheduler.status_command(some), strict=True)
        missing = [batch_id for batch_id in some if batch_id not in found]
        command = site.scheduler.ended_command(missing) if missing else []
        if command:  # there may be no record of what has ended; that is no error
            found |= await _status(site, missing, command, strict=False)
    return {batch_id: found.get(batch_id, BatchState.UNKNOWN) for batch_id in batch_ids}


async def _status(
    site: Site, batch_ids: Sequence[str], command: Sequence[str], *, strict: bool
) -> dict[str, BatchState]:
    answer = await _patiently(site, command)
    told = site.scheduler.parse_status(answer.output)
    if answer.code and strict and not told and not site.scheduler.GONE.search(answer.all):
        raise _error(f"the states of {len(batch_ids)} batch jobs are not to be had", command, answer)
    return told


async def cancel(site: Site, batch_ids: Sequence[str]) -> None:
    """Those that have ended already are passed over. Raises UserError in the scheduler's words."""
    for start in range(0, len(batch_ids), MOST_IDS):
        some = batch_ids[start : start + MOST_IDS]
        command = site.scheduler.cancel_command(some)
        answer = await _patiently(site, command)
        if answer.code and not site.scheduler.GONE.search(answer.all):
            alive = [batch_id for batch_id, state in (await statuses(site, some)).items() if state in ALIVE]
            if alive:  # a command may fail without a word for what has ended
                raise _error(f"batch jobs were not cancelled: {', '.join(alive[:5])}", command, answer)


async def machine(site: Site) -> MachineState:
    """What the batch machine is like now. Raises UserError if its nodes, queues or jobs are not to be had.

    Where a scheduler tells a batch job's cores only, its nodes are counted by the largest node.
    """
    scheduler = site.scheduler
    asked = [scheduler.nodes_command(), scheduler.queues_command(), scheduler.jobs_command()]
    nodes_told, queues_told, jobs_told = [await _told(site, command) for command in asked]
    reserved = await _told(site, scheduler.reservations_command(), strict=False)
    now = time.time()
    nodes = [node for node in scheduler.parse_nodes(nodes_told) if node.usable]
    most = max((node.cores for node in nodes), default=1)
    return MachineState(
        time=now,
        nodes=len(nodes),
        free=sum(node.free for node in nodes),
        shapes=shapes_of(nodes),
        queues=scheduler.parse_queues(queues_told),
        jobs=tuple(
            job if job.nodes else structs.replace(job, nodes=max(-(-job.cores // most), 1))
            for job in scheduler.parse_jobs(jobs_told, now)
        ),
        reservations=scheduler.parse_reservations(reserved, now),
    )


async def earliest_start(site: Site, path: str) -> float | None:
    """When the batch job of this script would start (seconds since the epoch); None where nobody can be asked.

    Raises UserError, in the scheduler's words, if it would never be taken.
    """
    command = site.scheduler.start_command(path)
    if not command:
        return None
    answer = await _patiently(site, command)
    if answer.code:
        raise _error("the batch job would not be taken", command, answer)
    return site.scheduler.parse_start(answer.all)


async def _told(site: Site, command: Sequence[str], *, strict: bool = True) -> str:
    if not command:
        return ""
    answer = await _patiently(site, command)
    if answer.code and strict:
        raise _error("the batch scheduler does not tell its state", command, answer)
    return "" if answer.code else answer.output


async def _patiently(site: Site, command: Sequence[str]) -> Answer:
    """For commands that may run twice."""
    for pause in site.pauses:
        answer = await site.run(command, site.seconds)
        if not _is_busy(site, answer):
            return answer
        await asyncio.sleep(pause)
    return await site.run(command, site.seconds)


def _is_busy(site: Site, answer: Answer) -> bool:
    return bool(answer.code) and bool(answer.code == TOO_LONG or site.scheduler.BUSY.search(answer.all))


def _error(what: str, command: Sequence[str], answer: Answer) -> UserError:
    shown = [word for word in command if not re.match(r"(env$|[A-Z_]+=)", word)]
    program = "bsub" if shown[:2] == ["sh", "-c"] and "bsub" in shown else shown[0]
    said = "\n".join(line.rstrip() for line in answer.all.strip()[-WORDS:].splitlines() if line.strip())
    why = {TOO_LONG: "gave no answer", NO_COMMAND: "is not to be had"}.get(
        answer.code, f"ended with code {answer.code}"
    )
    return UserError(f"{what}: {program} {why}", hint=said or "it printed nothing")
