"""Changes of a DAG that somebody asks for: new jobs, new edges, jobs to kill; made as a whole, or not at all."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from cwlbalsam.jobs.commands import Command

Ref = int
"""A job: its id if it is in the run already or was chosen by who asks; -1 - n for the change's own job number n."""


class NewJob(Struct, frozen=True, omit_defaults=True):
    """id: None: the run's coordinator chooses one. after: jobs that must have finished before it may start."""

    name: str
    command: Command
    after: tuple[Ref, ...] = ()
    id: int | None = None


class DagChange(Struct, frozen=True, omit_defaults=True):
    """edges: (parent, child). kills: with all that waits for them. A job whose name is in the run already is that job:
    a change that is asked for once more, after a crash, changes nothing."""

    jobs: tuple[NewJob, ...] = ()
    edges: tuple[tuple[Ref, Ref], ...] = ()
    kills: tuple[Ref, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.jobs or self.edges or self.kills)


def encode_change(change: DagChange) -> bytes:
    return msgspec.msgpack.encode(change)


def decode_change(body: bytes) -> DagChange:
    """Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(body, type=DagChange)


def merged(first: DagChange, second: DagChange) -> DagChange:
    """Both as one; the second knows nothing of the first one's jobs."""
    shift = len(first.jobs)

    def moved(ref: Ref) -> Ref:
        return ref - shift if ref < 0 else ref

    jobs = [NewJob(job.name, job.command, tuple(map(moved, job.after)), job.id) for job in second.jobs]
    edges = [(moved(parent), moved(child)) for parent, child in second.edges]
    return DagChange((*first.jobs, *jobs), (*first.edges, *edges), (*first.kills, *map(moved, second.kills)))


def find_cycle(edges: Iterable[tuple[int, int]], children: Callable[[int], Sequence[int]]) -> list[int]:
    """A cycle that the new edges (parent, child) would close, its first job also at its end; [] if there is none.

    children: of the jobs that are there, without cycles. O(V + E).
    """
    added: dict[int, list[int]] = {}
    for parent, child in edges:
        added.setdefault(parent, []).append(child)
    done: set[int] = set()
    for start in added:  # whatever cycle there is leads over a new edge
        if start in done:
            continue
        path, inside = [start], {start}
        stack = [iter([*children(start), *added.get(start, ())])]
        while stack:
            job = next(stack[-1], None)
            if job is None:
                stack.pop()
                left = path.pop()
                inside.discard(left)
                done.add(left)
            elif job in inside:
                return [*path[path.index(job) :], job]
            elif job not in done:
                path.append(job)
                inside.add(job)
                stack.append(iter([*children(job), *added.get(job, ())]))
    return []
