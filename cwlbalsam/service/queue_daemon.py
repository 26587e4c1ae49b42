"""The process that runs a queue: started by whoever submits, ends when nothing is left, goes on where one has died."""

import fcntl
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cwlbalsam.executor.events import Event, Warned
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.home import Home
from cwlbalsam.service.local import LocalRun
from cwlbalsam.service.options import Asked, RunOptions
from cwlbalsam.service.queue import Queue, reserve
from cwlbalsam.service.requests import Requests
from cwlbalsam.service.run import QUEUE, resume_run
from cwlbalsam.store import open_store

LINGER_SECONDS = 2.0
LOCK_SECONDS = 5.0
"""Who only looks whether there is a process holds its lock for a moment."""


class Log:
    """What happens to pilots, for the log."""

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        if isinstance(event, Warned):
            print(event.problem, file=sys.stderr, flush=True)


def serve(queue: Queue) -> None:
    """Run what is submitted until nothing is left."""
    handle = _lock(queue.folder / "daemon.lock")
    if handle is None:
        return  # another one serves it
    submitting = os.open(queue.folder / "submit.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    ours = [handle, submitting]

    def let_go() -> None:
        """In a child, which may outlive us; its own children have nothing to let go."""
        while ours:
            os.close(ours.pop())

    os.register_at_fork(after_in_child=let_go)

    def may_end() -> bool:
        """Nobody can submit any more; the lock is ours until this process is gone."""
        fcntl.flock(submitting, fcntl.LOCK_EX)
        if not queue.box.waiting():
            return True
        fcntl.flock(submitting, fcntl.LOCK_UN)
        return False

    requests = Requests(queue.folder / "requests", LINGER_SECONDS, may_end, lambda count: reserve(queue.home, count))
    with closing(open_store(queue.home.path)) as store:
        current = queue.current(store)
    if current is not None:
        resume_run(current.id, queue.home, {}, "", Log(), requests)
    elif queue.box.waiting():
        options = RunOptions(directory="/", outdir=str(queue.folder), site=queue.site, on_error="continue", quiet=True)
        asked = Asked(options=options, compiling=CompileOptions())
        LocalRun(queue.document, QUEUE, {}, asked, queue.home, Log(), requests=requests).run()


def _lock(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > until:
                return None
            time.sleep(0.01)


def main(arguments: Sequence[str]) -> None:
    serve(Queue(Home(Path(arguments[0])), arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
