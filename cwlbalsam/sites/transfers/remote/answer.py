"""How a program at a site answers one request, and what it calls the troubles of the operating system."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

TROUBLES = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ELOOP: "missing",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EXDEV: "unfit",
    errno.EMLINK: "unfit",
    errno.EOPNOTSUPP: "unfit",
    errno.ENOTTY: "unfit",
    errno.EINVAL: "unfit",
}


def trouble_of(error: OSError) -> tuple[str, str]:
    """(trouble, message)"""
    what = error.strerror or str(error)
    return TROUBLES.get(error.errno or 0, "other"), f"{error.filename}: {what}" if error.filename else what


def _end_with_stdin() -> NoReturn:
    while os.read(0, 4096):
        pass
    os._exit(1)


def main(operations: Mapping[str, Callable[..., Any]]) -> NoReturn:
    """Answers one request."""
    name, arguments = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    answer: dict[str, Any]
    try:
        answer = {"answer": operations[name](**arguments)}
    except OSError as error:
        answer = {"trouble": trouble_of(error)}
    sys.stdout.buffer.write(b"\0" + json.dumps(answer).encode("ascii") + b"\0")
    sys.stdout.buffer.flush()
    os._exit(0)
