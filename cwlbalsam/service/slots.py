"""Forked processes that work through a numbered list, each one item after another; a lost one costs one item."""

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Done:
    """What became of item `index`: the work's answer, or a fault (timed out, crashed). log: all that it printed."""

    index: int
    answer: bytes | None
    fault: str
    log: Path
    seconds: float


@dataclass
class _Slot:
    process: multiprocessing.context.ForkProcess
    connection: Connection
    index: int = -1  # -1: idle
    started: float = 0.0


def run_in_slots(
    work: Callable[[int], bytes], count: int, slots: int, timeout_seconds: float, logs: Path
) -> Iterator[Done]:
    """Yields the items of range(count) as they are done, in any order.

    work runs in a child that was forked from here, so it sees everything that was loaded before. What it prints, on
    either stream, goes to a file of its own in `logs`. Closing the iterator ends all children.
    """
    waiting = deque(range(count))
    running: list[_Slot] = []
    try:
        while waiting or running:
            while waiting and len(running) < slots:
                running.append(_start(work, logs, running))
                _hand_over(running[-1], waiting.popleft())
            for slot in _ready(running, timeout_seconds):
                done = _take(slot, timeout_seconds, logs)
                if done.answer is None or not waiting:
                    running.remove(slot)
                    _end(slot)
                else:
                    _hand_over(slot, waiting.popleft())
                yield done
    finally:
        for slot in running:
            _end(slot)


def _start(work: Callable[[int], bytes], logs: Path, others: list[_Slot]) -> _Slot:
    # Python's fork keeps every descriptor: a child that held its siblings' pipes would hide our end from them.
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    foreign = [slot.connection for slot in others] + [ours]
    process = context.Process(target=_serve, args=(work, theirs, logs, foreign))
    process.start()
    theirs.close()
    return _Slot(process, ours)


def _serve(work: Callable[[int], bytes], connection: Connection, logs: Path, foreign: list[Connection]) -> None:
    for other in foreign:
        other.close()
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The caller's may be objects of its own (a captured stream), not descriptors 1 and 2.
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            index = int.from_bytes(connection.recv_bytes(), "big")
            _redirect(_log(logs, index))
            connection.send_bytes(work(index))


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _log(logs: Path, index: int) -> Path:
    return logs / f"{index}.log"


def _hand_over(slot: _Slot, index: int) -> None:
    slot.index = index
    slot.started = time.monotonic()
    with suppress(OSError):  # a dead child is noticed when its answer is awaited
        slot.connection.send_bytes(index.to_bytes(4, "big"))


def _ready(running: list[_Slot], timeout_seconds: float) -> list[_Slot]:
    """The slots that have answered, died, or used up their time; waits for at least one."""
    while True:
        first = min(slot.started for slot in running) + timeout_seconds
        answered = wait([slot.connection for slot in running], max(0.0, first - time.monotonic()))
        late = time.monotonic() - timeout_seconds
        found = [slot for slot in running if slot.connection in answered or slot.started <= late]
        if found:
            return found


def _take(slot: _Slot, timeout_seconds: float, logs: Path) -> Done:
    answer, fault = None, ""
    try:
        if slot.connection.poll():
            answer = slot.connection.recv_bytes()
        else:
            fault = f"not finished after {timeout_seconds:g} s"
    except (EOFError, OSError):
        slot.process.join(GRACE_SECONDS)
        fault = f"the process that ran it ended with {_describe(slot.process.exitcode)}"
    return Done(slot.index, answer, fault, _log(logs, slot.index), time.monotonic() - slot.started)


def _describe(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def _end(slot: _Slot) -> None:
    """An idle child sees its pipe close; a busy one is interrupted, so that it ends what it started, then killed."""
    slot.connection.close()
    slot.process.join(0.1)
    if slot.process.is_alive() and slot.process.pid is not None:
        os.kill(slot.process.pid, signal.SIGINT)
        slot.process.join(GRACE_SECONDS)
        slot.process.kill()
    if slot.process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(slot.process.pid, signal.SIGKILL)  # what a crashed child left behind
    slot.process.join()
    slot.process.close()
