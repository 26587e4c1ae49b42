"""Recorded output of schedulers' commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cwlbalsam.sites.schedulers import SCHEDULERS
from cwlbalsam.sites.schedulers.base import BatchRequest, Scheduler

FOLDER = Path(__file__).resolve().parents[2] / "data" / "schedulers"
NOW = 1795785900.0
KINDS = sorted(SCHEDULERS)
REAL = [kind for kind in KINDS if kind != "local"]


def recorded(kind: str, what: str) -> str:
    """ "" if this scheduler has no such command."""
    path = FOLDER / kind / f"{what}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def parsers(scheduler: Scheduler) -> dict[str, Callable[[str], Any]]:
    """All that read foreign text."""
    return {
        "submit": scheduler.parse_submit,
        "status": scheduler.parse_status,
        "queues": scheduler.parse_queues,
        "nodes": scheduler.parse_nodes,
        "jobs": lambda text: scheduler.parse_jobs(text, NOW),
        "reservations": lambda text: scheduler.parse_reservations(text, NOW),
        "start": scheduler.parse_start,
    }


def request(**changes: Any) -> BatchRequest:
    asked = {
        "name": "pilot-1",
        "body": "echo hello",
        "directory": "/work dir",
        "output": "/out/file.log",
        "nodes": 2,
        "wall_seconds": 3661,
        "queue": "batch",
        "account": "physics",
        "constraint": "fast",
    }
    return BatchRequest(**{**asked, **changes})
