"""The planner's policy of pilots for one kind of them at one site: what is known, in the planner's words."""

from collections.abc import Sequence
from math import inf

from msgspec.structs import replace

from cwlbalsam.cwl.tasks import PilotKind
from cwlbalsam.executor.backlog import start_seconds
from cwlbalsam.executor.site_limits import PilotLimits
from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState, Queue
from cwlbalsam.planner.packing import Demand, Thrift
from cwlbalsam.planner.pilot_actions import Action, Failed, Limits, Pilot
from cwlbalsam.planner.pilots import decide

MARGIN_SECONDS = 10.0
"""A pilot reaches its queue a little later than its hole was seen."""
GRAIN_SECONDS = 60.0
"""Schedulers count in minutes, and round up."""


def decide_for(
    kind: PilotKind,
    now: float,
    backlog: Sequence[Demand],
    state: MachineState | None,
    pilots: Sequence[Pilot],
    limits: PilotLimits,
    failed: Sequence[Failed],
) -> list[Action]:
    """pilots: all of the site's. limits: for this kind alone.

    state: None if nobody knows: then what is allowed is believed to be free, and nothing of it is taken back because it
    has not started.
    """
    site = site_of(kind)
    mine = [pilot for pilot in pilots if pilot.site == site]
    if state is None:
        machine = _believed(limits, mine, now)
    else:
        machine = replace(with_ours(state, pilots, now), queues=(_queue(state, kind.queue, limits),))
    return decide(now, backlog, {site: machine}, mine, _limits(site, limits, known=state is not None), failed)


def site_of(kind: PilotKind) -> str:
    """Pilots of a kind are a site of their own to the policy, as jobs of one kind cannot run in those of another."""
    return "/".join((kind.queue, kind.account, kind.constraint))


def _limits(site: str, limits: PilotLimits, *, known: bool) -> Limits:
    """Half of the pilots may wait in line, so that there are some for holes. Who waits has no pilot, however busy."""
    return Limits(
        nodes={site: limits.nodes},
        thrift=Thrift(start_seconds=start_seconds(limits.wall_seconds)),
        line=max(limits.pilots // 2, 1),
        alike=1,
        most_pilots=limits.pilots,
        least_seconds=0.0,
        patience_seconds=Limits().patience_seconds if known else inf,
        longest_seconds=limits.wall_seconds,
        keep_seconds=inf if limits.least else limits.idle_seconds,
        absorb_seconds=0.0,
        stretch=True,
        margin_seconds=MARGIN_SECONDS,
        grain_seconds=GRAIN_SECONDS,
    )


def _believed(limits: PilotLimits, mine: Sequence[Pilot], now: float) -> MachineState:
    free = max(limits.nodes - sum(pilot.nodes for pilot in mine), 0)
    queue = Queue(
        name="",
        max_nodes=limits.nodes_per_pilot,
        max_wall_seconds=limits.wall_seconds,
        max_queued=limits.pilots,
    )
    return MachineState(time=now, nodes=max(limits.nodes, 1), free=free, queues=(queue,))


def _queue(state: MachineState, name: str, limits: PilotLimits) -> Queue:
    """The queue of the pilots, with what the site's file allows."""
    known = next((queue for queue in state.queues if queue.name == name or (not name and queue.default)), None)
    queue = known or Queue(name=name)
    return replace(
        queue,
        max_nodes=min(queue.max_nodes or limits.nodes_per_pilot, limits.nodes_per_pilot),
        max_wall_seconds=min(queue.max_wall_seconds or inf, limits.wall_seconds),
        max_queued=min(queue.max_queued or limits.pilots, limits.pilots),
        open=True,  # of who is let in, the scheduler has the last word
    )


def with_ours(state: MachineState, pilots: Sequence[Pilot], now: float) -> MachineState:
    """The machine now: as it was told, but with our own batch jobs as we know them ourselves."""
    told = {job.id: job for job in state.jobs}
    free = state.free
    for pilot in pilots:
        before = told.get(pilot.id, BatchJob(id=pilot.id, state=BatchState.QUEUED, submitted=pilot.submitted))
        after = replace(before, nodes=pilot.nodes, wall_seconds=pilot.wall_seconds)
        if pilot.started and before.state is not BatchState.RUNNING:
            free -= pilot.nodes
            after = replace(after, state=BatchState.RUNNING, started=pilot.started)
        told[pilot.id] = after
    return replace(state, time=now, free=max(free, 0), jobs=tuple(told.values()))
