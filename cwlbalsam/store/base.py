"""What every store can do. A store keeps; it decides nothing but that a final state is final."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from cwlbalsam.errors import IllegalTransition, UserError
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.links import Figures, LinkName
from cwlbalsam.jobs.model import BalsamJob, Changes, JobKind, Move, RunRecord, State
from cwlbalsam.jobs.states import FINAL

RunStatus = Literal["running", "finished", "failed", "interrupted", "killed"]


CLAIMED = ("pid", "host", "claimed", "document", "program", "outdir", "options")
"""What a process that takes a run over may change of its record."""


class StoredJob(BalsamJob, kw_only=True):
    """A job as it stands. message: of its last move; outcome: msgpack, once it ended; updated: time of its last move.

    waiting_for counts the parents that are unfinished now.
    """

    message: str = ""
    outcome: bytes | None = None
    updated: float = 0.0


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One move of one job, as it was written. seq grows within a store; it has gaps within a run."""

    seq: int
    job: int
    state: State
    attempt: int
    time: float
    message: str


class Store(Protocol):
    """Runs are named by their full id, except in `run`. An unknown run is a UserError, an unknown job a LookupError."""

    def put_program(self, digest: str, body: bytes) -> None:
        """Keeps a Program; does nothing but renew it if it is known."""

    def get_program(self, digest: str) -> bytes:
        """Raises LookupError."""

    def create_run(self, run: RunRecord, changes: Changes) -> None:
        """One transaction."""

    def claim_run(self, run: RunRecord, claim: RunRecord) -> None:
        """Sets a run to running again, under the process, Program, document, options and outdir of `claim`.

        run: as it was read. Raises UserError if another process has claimed or ended it since then.
        """

    def apply(self, run_id: str, changes: Changes) -> None:
        """One transaction: jobs and edges are added first, restarts are made, then the moves in order.

        Raises IllegalTransition, and changes nothing, if a move is of a job in a final state or of no job of the run.
        """

    def finish_run(
        self, run_id: str, status: RunStatus, *, outputs: bytes | None = None, message: str = "", ended: float
    ) -> None:
        """Ends a run, after its last `apply`: `counts` is taken now and kept."""

    def runs(self, limit: int = 0, status: Collection[str] = ()) -> list[RunRecord]:
        """Newest first; all if limit is 0 and status empty. `inputs`, `options` and `outputs` are left empty."""

    def run(self, prefix: str) -> RunRecord:
        """The run whose id begins so. Raises UserError if there is none, or more than one."""

    def jobs(self, run_id: str, states: Collection[State] = (), name: str = "") -> list[StoredJob]:
        """By id. name: a glob with `*` and `?`; brackets stand for themselves: `align/sort[*]`."""

    def job(self, run_id: str, job: int | str) -> StoredJob:
        """By id or by exact name. Raises LookupError."""

    def edges(self, run_id: str) -> list[tuple[int, int]]:
        """(parent, child), sorted."""

    def events(self, run_id: str, since: int = 0) -> list[HistoryEntry]:
        """The moves with a larger seq, in order."""

    def counts(self, run_id: str, kind: JobKind | None = None) -> dict[State, int]:
        """Number of jobs, of one kind if given, by state; states without jobs are left out."""

    def remove_run(self, run_id: str) -> None:
        """Forgets all about a run, and the Programs that no run has used for a day."""

    def links(self) -> dict[LinkName, Figures]:
        """What is known of links between sites."""

    def put_links(self, figures: Mapping[LinkName, Figures]) -> None:
        """In the place of what was known of them."""

    def close(self) -> None: ...


class LastMove(Struct):
    """What a batch of moves leaves in one job's row."""

    move: Move
    outcome: bytes | None


def last_moves(moves: Collection[Move]) -> dict[int, LastMove]:
    """The last move of each job. Raises IllegalTransition if a job moves on from a final state within the batch."""
    last: dict[int, LastMove] = {}
    for move in moves:
        before = last.get(move.job)
        if before is None:
            last[move.job] = LastMove(move, move.outcome)
            continue
        if before.move.state in FINAL:
            raise IllegalTransition(f"job {move.job} is {before.move.state.name}, asked to move to {move.state.name}")
        before.move = move
        before.outcome = move.outcome or before.outcome
    return last


def name_pattern(name: str) -> str:
    """The glob for SQLite and fnmatch: brackets are part of the names of scattered jobs, not sets of characters."""
    return name.replace("[", "[[]")


def only_candidate(prefix: str, found: list[RunRecord]) -> RunRecord:
    """Raises UserError if there is not exactly one."""
    if not found:
        raise UserError(f"no run has an id that begins with '{prefix}'", hint="`cwlbalsam ls` lists the runs")
    exact = [run for run in found if run.id == prefix]
    if len(found) > 1 and not exact:
        names = "\n".join(f"{run.id}  {run.name}" for run in found[:10])
        raise UserError(f"{len(found)} runs have ids that begin with '{short_run_id(prefix)}'", hint=names)
    return (exact or found)[0]


def claimed_by_other(run: RunRecord) -> UserError:
    return UserError(f"run {short_run_id(run.id)} was taken over or ended by another process")


def stored_job(row: Sequence[Any], waiting: Mapping[int, int]) -> StoredJob:
    """row: its columns, in the order in which both stores ask for them. waiting: unfinished parents, by job."""
    number, name, kind, process, step_process, step_index, inputs, state, attempt, message, outcome, updated = row
    return StoredJob(
        id=number,
        name=name,
        kind=kind,
        process=process,
        step=None if step_process is None else (step_process, step_index),
        inputs=inputs,
        state=State(state),
        attempt=attempt,
        waiting_for=waiting.get(number, 0),
        message=message,
        outcome=outcome,
        updated=updated,
    )


def figures_of(rows: Iterable[Sequence[Any]]) -> dict[LinkName, Figures]:
    """rows: the fields of Figures, in their order, and those of a link's name."""
    names = Figures.__struct_fields__
    return {tuple(row[-3:]): Figures(**dict(zip(names, row, strict=False))) for row in rows}


PROGRAM_KEEP_SECONDS = 86_400.0
"""A Program outlives its last use by this: it may belong to a run that is just being made."""
