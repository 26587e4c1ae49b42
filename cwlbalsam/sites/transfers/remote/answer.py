"""How a program at a site answers one request, and what it calls the troubles of the operating system."""

from __future__ import annotations

import errno
import json
import os
import queue
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


def main(operations: Mapping[str, Callable[..., Any]]) -> NoReturn:
    """Answers one request after the other; ends when stdin does, in the middle of a request, too."""
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        name, arguments = json.loads(requests.get())
        answer: dict[str, Any]
        try:
            answer = {"answer": operations[name](**arguments)}
        except OSError as error:
            answer = {"trouble": trouble_of(error)}
        sys.stdout.buffer.write(b"\0" + json.dumps(answer).encode("ascii") + b"\0")
        sys.stdout.buffer.flush()


def _read(requests: queue.SimpleQueue[bytes]) -> NoReturn:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)
