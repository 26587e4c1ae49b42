"""Values of secret inputs never show in messages."""

from typing import Any

from cwlbalsam.cwl.records import Process
from cwlbalsam.errors import JobError, Problem

_SHORTEST = 3  # shorter ones would hide half of every message


def secret_texts(process: Process, values: dict[str, Any]) -> list[str]:
    texts = {str(values[name]) for name in process.requirements.secrets if values.get(name) is not None}
    return sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)


def hide(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "(secret)")
    return text


def without_secrets(error: JobError, secrets: list[str]) -> JobError:
    return JobError.of(
        [Problem(item.place, hide(item.message, secrets), hide(item.hint, secrets)) for item in error.problems]
    )
