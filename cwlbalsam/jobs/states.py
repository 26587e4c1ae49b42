"""The state machine of jobs: one table, no I/O.

The diagram in ARCHITECTURE.md is drawn from this table.
"""

from enum import Enum, auto

from cwlbalsam.errors import IllegalTransition
from cwlbalsam.jobs.model import State


class Event(Enum):
    """What happens to a job."""

    SUBMITTED = auto()
    """The job is in the store and waits for its parents."""
    PARENTS_FINISHED = auto()
    """The last unfinished parent has finished."""
    STAGED_IN = auto()
    """The job's input files are at its site."""
    PREPROCESSED = auto()
    """What had to be done before the job may start is done."""
    DISPATCHED = auto()
    """A worker was given the job."""
    RAN = auto()
    """The command ended well and its outputs were found (a launcher reports it)."""
    FAILED_RUN = auto()
    """The attempt ended badly; whether to try again is not yet decided."""
    TIMED_OUT = auto()
    """The attempt was ended at its time limit; whether to try again is not yet decided."""
    PREEMPTED = auto()
    """The attempt was lost with its worker, node or allocation, through no fault of its own."""
    RETRY = auto()
    """The policy grants another attempt."""
    GIVE_UP = auto()
    """The policy grants no other attempt, or what surrounds the command failed for good."""
    POSTPROCESSED = auto()
    """What had to be done after the job ran is done."""
    STAGED_OUT = auto()
    """The job's output files are where they are wanted."""
    FINISHED = auto()
    """The job's outputs are known and nothing is left to do."""
    SKIPPED = auto()
    """The step's `when` was false: the job finishes with null outputs."""
    KILLED_BY_USER = auto()
    """The user asked for the run, or this job, to end."""
    PARENT_FAILED = auto()
    """A parent can never finish, so this job can never start."""


FINAL = frozenset({State.JOB_FINISHED, State.FAILED, State.USER_KILLED, State.PARENT_KILLED})

_NOT_STARTED = (State.CREATED, State.AWAITING_PARENTS)
_BEFORE_RUN = (State.READY, State.STAGED_IN, State.PREPROCESSED, State.RESTART_READY)
_AFTER_RUN = (State.RUN_DONE, State.POSTPROCESSED, State.STAGED_OUT)

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CREATED, Event.SUBMITTED): State.AWAITING_PARENTS,
    # A job without parents, and one whose parents had finished before it was added, never waits.
    (State.CREATED, Event.PARENTS_FINISHED): State.READY,
    (State.AWAITING_PARENTS, Event.PARENTS_FINISHED): State.READY,
    # The full ladder, where sites are involved.
    (State.READY, Event.STAGED_IN): State.STAGED_IN,
    (State.STAGED_IN, Event.PREPROCESSED): State.PREPROCESSED,
    (State.PREPROCESSED, Event.DISPATCHED): State.RUNNING,
    (State.RUNNING, Event.RAN): State.RUN_DONE,
    (State.RUN_DONE, Event.POSTPROCESSED): State.POSTPROCESSED,
    (State.POSTPROCESSED, Event.STAGED_OUT): State.STAGED_OUT,
    (State.STAGED_OUT, Event.FINISHED): State.JOB_FINISHED,
    # The short path of a local run: nothing is staged between sites, and the worker's outcome holds the phases.
    (State.READY, Event.DISPATCHED): State.RUNNING,
    (State.RUNNING, Event.FINISHED): State.JOB_FINISHED,
    (State.RUNNING, Event.SKIPPED): State.JOB_FINISHED,
    # Nodes that only structure the DAG (gathers, expansion points) are done by the coordinator itself.
    (State.READY, Event.FINISHED): State.JOB_FINISHED,
    (State.READY, Event.SKIPPED): State.JOB_FINISHED,
    # Attempts that end badly.
    (State.RUNNING, Event.FAILED_RUN): State.RUN_ERROR,
    (State.RUNNING, Event.TIMED_OUT): State.RUN_TIMEOUT,
    (State.RUNNING, Event.PREEMPTED): State.RESTART_READY,
    (State.RUNNING, Event.GIVE_UP): State.FAILED,
    (State.RUN_ERROR, Event.RETRY): State.RESTART_READY,
    (State.RUN_ERROR, Event.GIVE_UP): State.FAILED,
    (State.RUN_TIMEOUT, Event.RETRY): State.RESTART_READY,
    (State.RUN_TIMEOUT, Event.GIVE_UP): State.FAILED,
    (State.RESTART_READY, Event.DISPATCHED): State.RUNNING,
    (State.RESTART_READY, Event.STAGED_IN): State.STAGED_IN,
    # Staging in another site's data, binding and post-processing can fail for good.
    **{(state, Event.GIVE_UP): State.FAILED for state in (*_BEFORE_RUN, *_AFTER_RUN)},
    # A job that is to be restarted waits for a parent that has to make its outputs again.
    **{(state, Event.PARENT_FAILED): State.PARENT_KILLED for state in (*_NOT_STARTED, State.RESTART_READY)},
    **{(state, Event.KILLED_BY_USER): State.USER_KILLED for state in State if state not in FINAL},
}


def advance(state: State, event: Event) -> State:
    """Raises IllegalTransition, which names the state, the event and the events that were legal."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        legal = ", ".join(known.name for known in legal_events(state)) or "none: the state is final"
        raise IllegalTransition(f"{event.name} in state {state.name}; legal: {legal}") from None


def legal_events(state: State) -> list[Event]:
    """The events that a job in this state may see, in the table's order."""
    return [event for known, event in TRANSITIONS if known is state]


def diagram() -> str:
    """The table as a Mermaid state diagram.

    USER_KILLED, which every state that is not final leads to, is described by a note, not drawn as twelve arrows.
    """
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, event), target in TRANSITIONS.items():
        if event is not Event.KILLED_BY_USER:
            arrows.setdefault((state, target), []).append(event.name)
    lines = ["stateDiagram-v2", f"    [*] --> {State.CREATED.name}"]
    lines += [f"    {state.name} --> {target.name}: {', '.join(names)}" for (state, target), names in arrows.items()]
    lines += [f"    {state.name} --> [*]" for state in sorted(FINAL)]
    lines += [f"    note right of {State.USER_KILLED.name}: KILLED_BY_USER leads here from all that are not final"]
    return "\n".join(lines) + "\n"
