"""What a batch job asks for against what its queue allows: found before anything is submitted.

Many sites let a batch job that can never start wait for ever, instead of refusing it.
"""

from collections.abc import Sequence

from cwlbalsam.errors import Problem, did_you_mean
from cwlbalsam.jobs.batch import MachineState, Queue
from cwlbalsam.sites.schedulers import scripts
from cwlbalsam.sites.schedulers.base import BatchRequest


def mistakes(request: BatchRequest, machine: MachineState) -> list[Problem]:
    """Why this machine would never run it; [] if nothing speaks against it. What is not known forbids nothing."""
    if request.queue and machine.queues:
        queue = next((queue for queue in machine.queues if queue.name == request.queue), None)
        if queue is None:
            names = [queue.name for queue in machine.queues]
            hint = did_you_mean(request.queue, names, f"there are {', '.join(sorted(names))}")
            return [Problem("", f"there is no queue {request.queue!r}", hint)]
        return _beyond(request, queue, machine)
    queues = [queue for queue in machine.queues if queue.default] or machine.queues
    if not queues:
        return _beyond(request, Queue(name=""), machine)
    found = [_beyond(request, queue, machine) for queue in queues]
    return min(found, key=len)


def _beyond(request: BatchRequest, queue: Queue, machine: MachineState) -> list[Problem]:
    name = f"queue {queue.name!r}" if queue.name else "the machine"
    there = queue.nodes or machine.nodes
    most = min(filter(None, (queue.max_nodes, there)), default=0)
    problems = []
    if not queue.open:
        problems.append(Problem("", f"{name} is closed", _others(request, machine.queues, queue)))
    if most and request.nodes > most:
        why = f"{name} allows {most}" if most == queue.max_nodes else f"{name} has {most}"
        problems.append(
            Problem("", f"{request.nodes} nodes are asked for; {why}", _others(request, machine.queues, queue))
        )
    if request.nodes < queue.min_nodes:
        hint = _others(request, machine.queues, queue)
        problems.append(
            Problem("", f"{request.nodes} nodes are asked for; {name} wants {queue.min_nodes} at least", hint)
        )
    if queue.max_wall_seconds and request.wall_seconds > queue.max_wall_seconds:
        asked, allowed = scripts.clock_time(request.wall_seconds), scripts.clock_time(queue.max_wall_seconds)
        hint = _others(request, machine.queues, queue)
        problems.append(Problem("", f"a wall time of {asked} is asked for; {name} allows {allowed}", hint))
    largest = max((shape.cores for shape in machine.shapes), default=0)
    if largest and request.cores > largest:
        problems.append(Problem("", f"{request.cores} cores of a node are asked for; the largest has {largest}"))
    return problems


def _others(request: BatchRequest, queues: Sequence[Queue], but: Queue) -> str:
    fits = [
        queue.name
        for queue in queues
        if queue.name != but.name
        and queue.open
        and queue.min_nodes <= request.nodes <= (queue.max_nodes or queue.nodes or request.nodes)
        and request.wall_seconds <= (queue.max_wall_seconds or request.wall_seconds)
    ]
    return f"it fits in {' or '.join(fits)}" if fits else ""
