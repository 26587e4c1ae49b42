"""Changes of a DAG that scripts and users ask for, checked against the DAG as it is and made an expansion of it."""

from collections import Counter
from collections.abc import Callable, Mapping

from cwlbalsam.errors import JobError
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.jobs.commands import command_inputs
from cwlbalsam.jobs.dag import DagChange, find_cycle
from cwlbalsam.jobs.model import State
from cwlbalsam.parser.expand import Expander, Expansion

SHOWN = 8


class Additions:
    """named: ids of jobs that were added before, by name. reserve: takes so many ids, which nobody else will have."""

    def __init__(self, jobs: Mapping[int, LiveJob], expander: Expander) -> None:
        self.named: dict[str, int] = {}
        self.reserve: Callable[[int], int] = lambda _: expander.next_id
        self._jobs = jobs
        self._expander = expander

    def plan(self, change: DagChange) -> tuple[Expansion, list[int]]:
        """The jobs and edges to add, and the jobs to kill. Raises JobError, and adds nothing, if it cannot be."""
        ids = self._ids(change)
        own = set(ids.values()) - self._jobs.keys()

        def found(ref: int) -> int:
            number = ids.get(ref, ref)
            if number not in own and number not in self._jobs:
                raise JobError(f"there is no job {ref if ref >= 0 else -1 - ref} to refer to")
            return number

        expansion = Expansion()
        kills = [found(ref) for ref in change.kills]
        again = set(ids.values()) - own  # added by the same change before, with all their edges
        edges = [(found(parent), found(child)) for parent, child in change.edges]
        edges = [(parent, child) for parent, child in edges if parent not in again and child not in again]
        for index, job in enumerate(change.jobs):
            if ids[-1 - index] in own:
                edges += [(found(ref), ids[-1 - index]) for ref in job.after]
        self._check(edges, own)
        after: dict[int, list[int]] = {}
        for parent, child in edges:
            (after if child in own else expansion.waits).setdefault(child, []).append(parent)
        for index, job in enumerate(change.jobs):
            number = ids[-1 - index]
            if number in own:
                own.discard(number)
                self.named[job.name] = number
                parents = tuple(dict.fromkeys(after.get(number, ())))
                expansion.jobs.append(self._expander.added(job.name, command_inputs(job.command), parents, number))
        return expansion, kills

    def _ids(self, change: DagChange) -> dict[int, int]:
        """By what the change calls its jobs."""
        ids: dict[int, int] = {}
        fresh = [job for job in change.jobs if job.name not in self.named]
        if len({job.name for job in fresh}) < len(fresh):
            twice = next(name for name, count in Counter(job.name for job in fresh).items() if count > 1)
            raise JobError(f"two jobs are to be named '{twice}'")
        unnumbered = [job.name for job in fresh if job.id is None]
        first = self.reserve(len(unnumbered)) if unnumbered else 0
        numbers = {name: first + index for index, name in enumerate(unnumbered)}
        for index, job in enumerate(change.jobs):
            number = self.named.get(job.name)
            if number is None:
                number = job.id if job.id is not None else numbers[job.name]
                if number in self._jobs:
                    raise JobError(f"job {number} is another one")
            ids[-1 - index] = number
            if job.id is not None:
                ids[job.id] = number
        return ids

    def _check(self, edges: list[tuple[int, int]], own: set[int]) -> None:
        for _, child in edges:
            if child not in own and self._jobs[child].state is not State.AWAITING_PARENTS:
                name = self._jobs[child].plan.name or child
                raise JobError(f"job '{name}' cannot wait for another one: it is {self._jobs[child].state.name}")
        if cycle := find_cycle(edges, self._children):
            names = [self._jobs[job].plan.name if job in self._jobs else "(new)" for job in cycle]
            shown = " -> ".join(names[:SHOWN]) + (" -> ..." if len(names) > SHOWN else "")
            raise JobError(f"jobs would wait for each other: {shown}")

    def _children(self, number: int) -> list[int]:
        job = self._jobs.get(number)
        return (job.children or []) if job is not None else []
