"""Scripts before and after jobs run on the coordinator's machine, in bounded numbers: no node waits for them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from cwlbalsam.executor.transitions import Script, Scripted
from cwlbalsam.jobs.dag import decode_change

MOST_AT_ONCE = 16
GRACE_SECONDS = 5.0


class ScriptRunner:
    """environment: of all scripts. answer: takes how each has ended."""

    def __init__(self, environment: Mapping[str, str], answer: Callable[[Scripted], None]) -> None:
        self._environment = environment
        self._answer = answer
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, script: Script) -> None:
        """Start it as soon as fewer than `MOST_AT_ONCE` run."""
        task = asyncio.get_running_loop().create_task(self._run(script))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """End all; answered as cancelled."""
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        self.cancel()
        while self._running:
            await asyncio.sleep(0.01)

    async def _run(self, script: Script) -> None:
        try:
            async with self._turns:
                self._answer(await self._conduct(script))
        except asyncio.CancelledError:
            self._answer(Scripted(script, "cancelled", cancelled=True))

    async def _conduct(self, script: Script) -> Scripted:
        asked = Path(f"{script.directory}.{script.phase}.dag")  # what it asks of the DAG, written as it ends
        log = Path(f"{script.directory}.{script.phase}.log")
        try:
            Path(script.directory).mkdir(parents=True, exist_ok=True)
            asked.unlink(missing_ok=True)
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *script.argv,
                    cwd=script.directory,
                    env={
                        **self._environment,
                        "CWLBALSAM_JOB": f"{script.directory}/",
                        "CWLBALSAM_JOB_ID": str(script.job),
                        "CWLBALSAM_JOB_NAME": script.name,
                        "CWLBALSAM_PHASE": script.phase,
                        "CWLBALSAM_DAG": str(asked),
                    },
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            return Scripted(script, f"the {script.phase} script cannot be started: {error}")
        code = await _ended(process)
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Scripted(script, f"the {script.phase} script ended with {how}; see {log}")
        try:
            return Scripted(script, change=decode_change(asked.read_bytes()))
        except FileNotFoundError:
            return Scripted(script)
        except (OSError, msgspec.DecodeError) as error:
            return Scripted(script, f"what the {script.phase} script asked of the DAG cannot be read: {error}")


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Its exit code; it is ended if we are cancelled."""
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
