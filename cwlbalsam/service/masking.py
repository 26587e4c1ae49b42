"""Values of secret inputs are not kept: what goes into the store has asterisks in their place."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.secrets import secret_texts
from cwlbalsam.jobs.model import BalsamJob, Changes, Move


def secrets_of(program: Program, values: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The secret values of a run's inputs, as they stand in msgpack."""
    return tuple(text.encode() for text in secret_texts(program.processes[program.main], dict(values)))


def mask(data: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """As many bytes as before, so msgpack's lengths stay right."""
    for secret in secrets:
        data = data.replace(secret, b"*" * len(secret))
    return data


def mask_changes(changes: Changes, secrets: tuple[bytes, ...]) -> Changes:
    """What of a change may be written."""
    if not secrets:
        return changes

    def job(found: BalsamJob) -> BalsamJob:
        return replace(found, inputs=mask(found.inputs, secrets))

    def move(found: Move) -> Move:
        outcome = mask(found.outcome, secrets) if found.outcome is not None else None
        return replace(found, message=mask(found.message.encode(), secrets).decode(), outcome=outcome)

    return Changes(
        jobs=list(map(job, changes.jobs)),
        restarts=list(map(job, changes.restarts)),
        edges=changes.edges,
        moves=list(map(move, changes.moves)),
    )
