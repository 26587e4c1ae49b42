"""When would a batch job start? Go on from the machine's state by the scheduler's rules, as if nobody else came."""

from collections.abc import Callable
from math import inf

from cwlbalsam.jobs.batch import BatchJob, BatchState, MachineState
from cwlbalsam.planner.queues.conservative import Conservative
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.profile import end_of, waiting, wall_of
from cwlbalsam.planner.queues.requests import Request

ASKED = "the batch job in question"


def expected_start(
    state: MachineState,
    nodes: int,
    wall_seconds: float,
    policy: str = "easy",
    seconds: Callable[[BatchJob], float] | None = None,
) -> float:
    """The time at which a batch job that is submitted now would start; infinite if it never would.

    seconds: how long a batch job will have run in the end; by default all the time that it asks for.
    Source: Smith, Taylor and Foster, "Using run-time predictions to estimate queue wait times" (1999).
    """
    if not 0 < nodes <= state.nodes:
        return inf
    machine = machine_of(state, policy, seconds)
    machine.submit(Request(ASKED, nodes, wall_seconds, state.time, wall_seconds))
    while ASKED not in machine.starts:
        following = machine.next_time()
        if following == inf:
            return inf
        machine.advance(following)
    return machine.starts[ASKED]


def machine_of(
    state: MachineState, policy: str = "easy", seconds: Callable[[BatchJob], float] | None = None
) -> Machine:
    """A machine to go on from what a scheduler told, without arrivals.

    Nodes that are neither free nor held by a running batch job or a reservation (drained ones) are out of use for ever.
    Only conservative rules can heed a reservation that is still to come: with one, these are used.
    """
    coming = [kept for kept in state.reservations if kept.starts > state.time]
    machine = Machine(state.nodes, "conservative" if coming else policy, (), time=state.time)
    left = state.nodes - state.free
    for job in state.jobs:
        if job.state is BatchState.RUNNING:
            left -= job.nodes
            _hold(machine, job, seconds)
    for kept in state.reservations:
        if kept.starts <= state.time < kept.ends:
            left -= kept.nodes
            length = kept.ends - state.time
            machine.hold(Request(f"reservation {kept.name}", kept.nodes, length, 0.0, length), state.time, kept.ends)
    if left > 0:
        machine.hold(Request("out of use", left, inf, 0.0, inf), state.time, inf)
    for kept in coming:
        if isinstance(machine.rules, Conservative):
            machine.rules.profile.take(kept.starts, kept.ends, kept.nodes)
    for job in waiting(state):
        if 0 < job.nodes <= state.nodes:
            wall = wall_of(job, state.queues)
            machine.submit(Request(job.id, job.nodes, wall, job.submitted, seconds(job) if seconds else wall))
    return machine


def _hold(machine: Machine, job: BatchJob, seconds: Callable[[BatchJob], float] | None) -> None:
    """A job that has run longer than it was believed to is believed to use all of its time."""
    ends = end_of(job, machine.now)
    started = job.started or machine.now
    whole = ends - started
    believed = seconds(job) if seconds else whole
    if started + believed <= machine.now:
        believed = whole
    machine.hold(Request(job.id, job.nodes, whole, job.submitted, believed), started, ends)
