"""A small process, forked before there are threads or an event loop, that forks the workers and buries them.

Forking the coordinator is safe only until it has threads, and cheap only until it has grown: this one stays small and
single-threaded, so a replacement is as good as the first worker. As a subreaper it inherits the jobs of a worker
that died, and ends them before it reports the death. A worker that one of its jobs has stopped goes on at once.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from cwlbalsam.executor.spawn import become_subreaper

RECORD_BYTES = 8
"""Both ways: number of the worker and, in a report of its death, wait status; four bytes each."""
KILL_SECONDS = 5.0
"""A killed process that waits for a disk may last longer; nobody waits for it."""


def fork_server(serve_worker: Callable[[socket.socket, int], None]) -> tuple[socket.socket, int]:
    """Fork it, and return the connection to it and its pid. `serve_worker(connection, number)` is a worker's life."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return ours, pid
    try:
        ours.close()
        _serve(theirs, serve_worker)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def request_worker(server: socket.socket, number: int) -> socket.socket:
    """Have a worker forked; returns the connection to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(server, [number.to_bytes(RECORD_BYTES, "little")], [theirs.fileno()])
    return ours


def unpack_death(record: bytes) -> tuple[int, int]:
    """Number and exit code of a worker that died."""
    status = int.from_bytes(record[4:], "little")
    return int.from_bytes(record[:4], "little"), os.waitstatus_to_exitcode(status)


def _serve(coordinator: socket.socket, serve_worker: Callable[[socket.socket, int], None]) -> None:
    gc.freeze()  # what the coordinator had is neither visited nor destroyed here
    os.setsid()  # Ctrl-C at the terminal is the coordinator's affair
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    with Path(os.devnull).open("r+") as null:
        os.dup2(null.fileno(), 0)
    os.dup2(2, 1)  # standard output belongs to the coordinator's results
    become_subreaper()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    workers: dict[int, int] = {}
    connected = True
    while connected or workers:  # a worker without a coordinator ends its jobs, then itself
        sources = [coordinator.fileno(), reader] if connected else [reader]
        ready, _, _ = select.select(sources, [], [])
        if reader in ready:
            os.read(reader, 4096)
            _bury(coordinator, workers)
        if connected and coordinator.fileno() in ready:
            try:
                data, handles, _, _ = socket.recv_fds(coordinator, RECORD_BYTES, 1)
            except ConnectionResetError:  # it closed without reading the last deaths
                data, handles = b"", []
            if not data:
                connected = False
                continue
            number = int.from_bytes(data, "little")
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for handle in (reader, writer):
                    os.close(handle)
                coordinator.close()
                _live(handles[0], number, serve_worker)
            workers[pid] = number
            os.close(handles[0])


def _live(handle: int, number: int, serve_worker: Callable[[socket.socket, int], None]) -> None:
    try:
        serve_worker(socket.socket(fileno=handle), number)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _bury(coordinator: socket.socket, workers: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return
        if not pid:
            return
        if os.WIFSTOPPED(status):
            if pid in workers:  # its other jobs, and the run, would wait for ever
                os.kill(pid, signal.SIGCONT)
            continue
        number = workers.pop(pid, None)
        if number is not None:
            _kill_orphans(workers)
            with contextlib.suppress(OSError):  # the coordinator is gone
                coordinator.sendall(number.to_bytes(4, "little") + status.to_bytes(4, "little"))


def _kill_orphans(workers: dict[int, int]) -> None:
    """Children that are no workers are what a dead worker left: whole groups go.

    Their own children come here in turn; all must be gone before the death is known, as the jobs then start again.
    """
    until = time.monotonic() + KILL_SECONDS
    while (orphans := [pid for pid in _children() if pid not in workers]) and time.monotonic() < until:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                group = os.getpgid(pid)
                if group == os.getpgrp():
                    os.kill(pid, signal.SIGKILL)
                else:
                    os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:  # not Linux: orphans belong to init there
        return []
