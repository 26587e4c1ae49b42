"""Ids of runs: UUIDs of version 7 (RFC 9562), so that text order is the order of creation."""

import secrets
import time
import uuid


def new_run_id(now: float | None = None) -> str:
    """now: seconds since the epoch; the clock's if None. Runs of one millisecond are in no order."""
    milliseconds = int((time.time() if now is None else now) * 1000) & (1 << 48) - 1
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def short_run_id(run_id: str) -> str:
    """The part of an id that people read and type: its time in milliseconds."""
    return run_id[:13]
