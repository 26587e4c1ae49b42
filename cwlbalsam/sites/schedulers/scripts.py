"""The text of batch scripts: directives that cannot break out of their lines, and what every script begins with."""

import re
import shlex
from collections.abc import Callable, Iterable

from cwlbalsam.errors import UserError
from cwlbalsam.sites.schedulers.base import BatchRequest

_PLAIN_PATH = re.compile(r"[\w./+=:,@-]+", re.ASCII)
NOWHERE = "/dev/null"


def word(what: str, value: str) -> str:
    """A value that is one word of a directive. Raises UserError for one that could be more."""
    if re.search(r"[\s\x00-\x1f\x7f\"'\\`]", value):
        hint = "spaces, quotes, backslashes and control characters cannot stand in it"
        raise UserError(f"{what} {value!r} cannot be given to a batch scheduler", hint=hint)
    return value


def job_name(request: BatchRequest) -> str:
    """What every scheduler takes for a name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", request.name)[:200] or "cwlbalsam"


def clock_time(seconds: float) -> str:
    """HH:MM:SS, hours unlimited; at least a second."""
    whole = max(int(seconds), 1)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def minutes(seconds: float) -> int:
    """Rounded up, at least one."""
    return max(-(-int(seconds) // 60), 1)


def output_path(request: BatchRequest, escape: Callable[[str], str] = str) -> str:
    """For the directive that names the output file: schedulers disagree on quotes, so only plain paths stand there."""
    return escape(request.output) if _PLAIN_PATH.fullmatch(request.output) else NOWHERE


def build(
    prefix: str, request: BatchRequest, directives: Iterable[str], *, first: Iterable[str] = (), redirect: bool = False
) -> str:
    """The whole script.

    directives: without prefix; empty ones are left out. first: shell lines that come before all others. redirect: the
    script opens its output itself.
    """
    if not request.directory.startswith("/") or not request.output.startswith("/"):
        raise UserError(f"a batch job's paths must be absolute: {request.directory!r}, {request.output!r}")
    lines = ["#!/bin/bash", *(f"{prefix} {directive}" for directive in directives if directive)]
    lines += [_extra(prefix, line) for line in request.extra if line.strip()]
    lines += first
    if redirect or not _PLAIN_PATH.fullmatch(request.output):
        lines.append(f"exec >> {shlex.quote(request.output)} 2>&1")
    lines += [
        f"cd -- {shlex.quote(request.directory)} || exit 1",
        f"export CWLBALSAM_BATCH_ENDS=$(($(date +%s) + {max(int(request.wall_seconds), 1)}))",
        *request.setup,
        request.body.rstrip("\n"),
    ]
    return "\n".join(lines) + "\n"


def _extra(prefix: str, line: str) -> str:
    text = line.strip()
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", text):
        raise UserError(f"an extra line for the batch script must be one line: {line!r}")
    if text.startswith("#") and not text.startswith(prefix):
        hint = f"leave the prefix out, or begin with {prefix!r}"
        raise UserError(f"an extra line for the batch script has another scheduler's prefix: {text!r}", hint=hint)
    return text if text.startswith("#") else f"{prefix} {text}"
