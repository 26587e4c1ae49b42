"""The pilots of a site: asked for, watched, dismissed. What to ask for is decided by the planner."""

import asyncio
import contextlib
import shlex
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace

from cwlbalsam.cwl.tasks import ANY_PILOT, PilotKind
from cwlbalsam.errors import UserError
from cwlbalsam.executor.agent import Agent
from cwlbalsam.executor.asked import BATCH_FILE, GRACE_SECONDS, LIVE, WAITING, Asked, end_leftovers, last_words
from cwlbalsam.executor.backlog import demands_of
from cwlbalsam.executor.batch import BatchSystem
from cwlbalsam.executor.dispatch import Waiting
from cwlbalsam.executor.links import SILENCE_SECONDS
from cwlbalsam.executor.machine_watch import MachineWatch
from cwlbalsam.executor.pilot import AgentFile, PilotFile, write_record
from cwlbalsam.executor.pilot_policy import decide_for, site_of
from cwlbalsam.executor.site_limits import PilotLimits, SiteLimits
from cwlbalsam.executor.wires.proof import write_token
from cwlbalsam.executor.wires.spool import SpoolWire
from cwlbalsam.executor.wires.tcp import TcpWire
from cwlbalsam.jobs.batch import BatchState, MachineState
from cwlbalsam.planner.pilot_actions import Cancel, Failed, Kind, Limits, Pilot

TICK_SECONDS = 1.0
SETTLE_SECONDS = 0.02
"""What changes together is decided on together: tasks are given to new nodes before more nodes are asked for."""
POLL_SECONDS = 3.0
LOST_SECONDS = 8.0
"""A launcher that is silent for so long makes us ask the scheduler."""
SURE_SECONDS = SILENCE_SECONDS + GRACE_SECONDS
"""After the last word of a launcher whose batch job has ended: even a node that was only cut off has ended its jobs."""
MAX_FAILURES = 5
"""One after the other: of submissions, and of pilots none of whose nodes was ever up."""
NO_CALL = "ended before its launcher called"
NO_NODE = "ended before one of its nodes was up"
BY_FILES = "and speaks by files, since it does not reach the agent by TCP"


class Pilots:
    """form: what the files of all pilots have in common. limits: of a queue; "": the site's. state: of the machine,
    as far as it was told already."""

    def __init__(
        self,
        agent: Agent,
        batch: BatchSystem,
        folder: Path,
        limits: Callable[[str], SiteLimits],
        form: PilotFile,
        state: MachineState | None = None,
    ) -> None:
        self._agent = agent
        self._batch = batch
        self._folder = folder
        self._limits_of = limits
        self._limits = limits("").pilots
        self._form = form
        self._machine = MachineWatch(batch.machine if batch.tells else None, state)
        self._failed: dict[PilotKind, list[Failed]] = {}
        self._asked: dict[str, Asked] = {}  # by session
        self._wake = asyncio.Event()
        self._polled = 0.0
        self._failures = 0
        self._addresses: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return len(self._asked)

    def changed(self) -> None:
        self._wake.set()

    def listen_at(self, addresses: list[tuple[str, int]]) -> None:
        self._addresses = addresses

    def known(self, session: str) -> tuple[bytes, TcpWire] | None:
        pilot = self._asked.get(session)
        return (pilot.token, pilot.wire) if pilot is not None and isinstance(pilot.wire, TcpWire) else None

    async def run(self) -> None:
        """Decide, whenever something has changed, and once a second."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._wake.clear()
            await self.step()

    async def recover(self) -> None:
        """End what an agent before us has left: no run is served before nothing of it can live any more."""
        await end_leftovers(self._batch, self._folder)

    async def step(self) -> None:
        self._look_for_spools()
        await self._watch()
        self._dismiss_idle()
        kinds = {alike.grant.pilot for alike in self._agent.waiting()}
        kinds |= {pilot.kind for pilot in self._asked.values() if not pilot.up}
        for kind in kinds or {ANY_PILOT}:
            await self._decide(kind)

    async def close(self) -> None:
        """Have all launchers leave, and cancel what has not started."""
        for session in list(self._agent.sessions):
            self._agent.dismiss(session)
        until = time.monotonic() + GRACE_SECONDS
        while any(pilot.up for pilot in self._asked.values()) and time.monotonic() < until:
            await asyncio.sleep(0.1)
            await self._watch()
        left = [pilot.batch_id for pilot in self._asked.values() if pilot.batch_id]
        if left:
            with contextlib.suppress(UserError):
                await self._batch.cancel(left)

    # --- what there is ---

    def _waiting(self, kind: PilotKind) -> list[Waiting]:
        return [alike for alike in self._agent.waiting() if alike.grant.pilot == kind]

    def _views(self) -> dict[str, Pilot]:
        """What the policy sees of the pilots that are there or come, by session. Their site: the kind of pilot."""
        sessions = self._agent.sessions
        return {
            session: Pilot(
                id=pilot.batch_id,
                site=site_of(pilot.kind),
                kind=pilot.why,
                nodes=pilot.nodes,
                wall_seconds=pilot.file.wall_seconds,
                submitted=pilot.submitted,
                started=pilot.started,
                ready=bool(sessions[session].nodes),
            )
            for session, pilot in self._asked.items()
            if not pilot.ended and not pilot.cancelled and not sessions[session].leaving
        }

    # --- asking ---

    async def _decide(self, kind: PilotKind) -> None:
        """Ask for what is needed of a kind, within the limits for all together; take back what is not."""
        allowed = self._limits_of(kind.queue)
        state = self._machine.told
        if self._waiting(kind) and self._has_room(allowed.pilots):
            state = await self._machine.look()
        views, waiting = self._views(), self._waiting(kind)
        others = [pilot for pilot in views.values() if pilot.site != site_of(kind)]
        limits = replace(
            allowed.pilots,
            pilots=allowed.pilots.pilots - len(others),
            nodes=allowed.pilots.nodes - sum(pilot.nodes for pilot in others),
        )
        mine = len(views) - len(others)
        if not waiting and mine < limits.least:
            room = min(limits.nodes_per_pilot, limits.nodes - sum(pilot.nodes for pilot in views.values()))
            if room > 0:
                await self._ask(room, kind, limits.wall_seconds, Kind.LINE, "so many are always kept")
            return
        backlog = demands_of(waiting, allowed)
        failed = self._failed.setdefault(kind, [])
        for action in decide_for(kind, time.time(), backlog, state, list(views.values()), limits, failed):
            if isinstance(action, Cancel):
                await self._take_back(action)
            elif not await self._ask(action.nodes, kind, action.wall_seconds, action.kind, action.reason):
                break  # the others would not be taken either

    def _has_room(self, limits: PilotLimits) -> bool:
        views = self._views().values()
        return len(views) < limits.pilots and sum(pilot.nodes for pilot in views) < limits.nodes

    async def _take_back(self, action: Cancel) -> None:
        pilot = next(pilot for pilot in self._asked.values() if pilot.batch_id == action.pilot)
        with contextlib.suppress(UserError):
            await self._batch.cancel([pilot.batch_id])
        pilot.cancelled = True
        now = time.time()
        if pilot.why is Kind.HOLE and now - pilot.submitted >= Limits().patience_seconds:
            kept = [one for one in self._failed[pilot.kind] if now - one.time < Limits().memory_seconds]
            new = Failed(site=site_of(pilot.kind), nodes=pilot.nodes, wall_seconds=pilot.file.wall_seconds, time=now)
            self._failed[pilot.kind] = [*kept, new]
        self._agent.notify(f"pilot {pilot.batch_id}: taken back: {action.reason}")

    async def _ask(self, nodes: int, kind: PilotKind, wall_seconds: float, why: Kind, reason: str) -> bool:
        """Returns whether the scheduler has taken it."""
        session = uuid4().hex
        folder = self._folder / session[:16]
        folder.mkdir(mode=0o700, parents=True)
        file = replace(self._form, session=session, wall_seconds=wall_seconds)
        token = write_token(folder / "token")
        write_record(folder / "pilot.json", file)
        write_record(folder / "agent.json", AgentFile(self._addresses))
        wire = TcpWire(partial(self._hear, session), echoes=True)
        pilot = Asked(file, folder, nodes, kind, why, wire, token, submitted=time.time())
        body = shlex.join([file.python, "-m", "cwlbalsam.executor.launcher", str(folder)])
        try:
            pilot.batch_id = await self._batch.submit(
                f"cwlbalsam-{session[:8]}", folder, body, nodes, int(file.wall_seconds), kind
            )
        except UserError as error:
            self._failures += 1
            shutil.rmtree(folder, ignore_errors=True)
            self._agent.notify(f"no pilot: {error}")
            if self._failures >= MAX_FAILURES or not self._asked:
                self._agent.fail_waiting(str(error), lambda task: task.grant.pilot == kind)
            return False
        (folder / BATCH_FILE).write_text(pilot.batch_id)
        self._asked[session] = pilot
        self._agent.add_session(session, wire, kind)
        self._agent.notify(f"pilot {pilot.batch_id}: {nodes} node{'s' * (nodes > 1)} asked for: {reason}")
        return True

    def _hear(self, session: str, body: bytes) -> None:
        pilot = self._asked.get(session)
        if pilot is not None and not pilot.up:
            pilot.up = True
            pilot.started = pilot.started or time.time()
            by_files = f", {BY_FILES}" if isinstance(pilot.wire, SpoolWire) and pilot.file.transport == "auto" else ""
            self._agent.notify(f"pilot {pilot.batch_id}: started after {time.time() - pilot.submitted:.0f} s{by_files}")
        self._agent.hear(session, body)
        if pilot is not None and not pilot.useful and self._agent.sessions[session].nodes:
            pilot.useful = True
            self._failures = 0

    # --- ends ---

    def _look_for_spools(self) -> None:
        """A launcher that has not reached us by TCP begins to write files."""
        for session, pilot in self._asked.items():
            spool = pilot.folder / "spool"
            if pilot.reading is None and pilot.file.transport != "tcp" and not pilot.up and spool.is_dir():
                wire = SpoolWire(spool, "agent", partial(self._hear, session), echoes=True)
                pilot.wire = self._agent.sessions[session].wire = wire
                pilot.reading = asyncio.create_task(wire.run())

    async def _watch(self) -> None:
        """Which batch jobs are gone; what ran there is restarted when nothing of it can live any more."""
        now = time.monotonic()
        silent = [
            pilot
            for session, pilot in self._asked.items()
            if not pilot.up or now - pilot.wire.heard > LOST_SECONDS or self._left(session) or pilot.cancelled
        ]
        if silent and now - self._polled >= (0.3 if any(self._left(s) for s in self._asked) else POLL_SECONDS):
            self._polled = now
            with contextlib.suppress(UserError):  # the scheduler does not answer: nothing is known then
                states = await self._batch.states([pilot.batch_id for pilot in silent])
                for pilot in silent:
                    state = states.get(pilot.batch_id, BatchState.UNKNOWN)
                    if pilot.up and state in WAITING:  # preempted, or its node has failed: a second life is of no use
                        await self._batch.cancel([pilot.batch_id])
                    elif state in LIVE:
                        pilot.ended = 0.0
                        if state is BatchState.RUNNING and not pilot.started:
                            pilot.started = time.time()
                    elif not pilot.ended:
                        pilot.ended = now
        for session, pilot in list(self._asked.items()):
            if pilot.ended and (not self._agent.sessions[session].nodes or now - pilot.wire.heard >= SURE_SECONDS):
                self._bury(session, pilot)

    def _left(self, session: str) -> bool:
        known = self._agent.sessions.get(session)
        return known is not None and known.leaving and not known.nodes

    def _bury(self, session: str, pilot: Asked) -> None:
        del self._asked[session]
        pilot.wire.hang_up()
        if pilot.reading is not None:
            pilot.reading.cancel()
        told = last_words(pilot.folder)
        self._agent.lose_session(session, f"batch job {pilot.batch_id} has ended")
        if not pilot.useful and not pilot.cancelled:
            self._failures += 1
            why = f"pilot {pilot.batch_id} {NO_NODE if pilot.up else NO_CALL}" + (f":\n{told}" if told else "")
            self._agent.notify(why)
            if self._failures >= MAX_FAILURES:
                self._agent.fail_waiting(why, lambda task: task.grant.pilot == pilot.kind)
        else:
            shutil.rmtree(pilot.folder, ignore_errors=True)

    def _dismiss_idle(self) -> None:
        """At once if a wide job waits for nodes of one pilot, or one for a pilot of a kind that there is none of."""
        widest: dict[PilotKind, int] = {}
        for alike in self._agent.waiting():
            kind = alike.grant.pilot
            nodes = self._limits_of(kind.queue).nodes_of(alike.grant) if alike.grant.is_wide else 1
            widest[kind] = max(nodes, widest.get(kind, 0))
        views = self._views().values()
        is_short = any(
            all(pilot.nodes < nodes for pilot in views if pilot.site == site_of(kind)) for kind, nodes in widest.items()
        )
        patience = 0.5 if is_short else self._limits.idle_seconds
        sessions = [(name, session) for name, session in self._agent.sessions.items() if not session.leaving]
        for name, session in sessions[self._limits.least :]:
            if session.idle_seconds() > patience:
                self._agent.dismiss(name)
