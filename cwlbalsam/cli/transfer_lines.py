"""Lines about transfers, for those who wait for them."""

from cwlbalsam.cli.tables import duration, plain, size
from cwlbalsam.executor.events import TransferEnded, TransferEvent, TransferProgress, TransferStarted

LONG_SECONDS = 5.0
"""A transfer that takes so long is told of, once in that time and at its end."""


class TransferLines:
    """Remembers what is on its way."""

    def __init__(self) -> None:
        self._started: dict[str, TransferStarted] = {}
        self._told: dict[str, float] = {}

    def line(self, event: TransferEvent, now: float, all_of_them: bool) -> str:
        """What there is to say now; "" if nothing. now: seconds of any clock that only goes on."""
        match event:
            case TransferStarted():
                self._started[event.batch] = event
                self._told[event.batch] = now
            case TransferProgress():
                started = self._started.get(event.batch)
                if started is not None and now - self._told[event.batch] >= LONG_SECONDS:
                    self._told[event.batch] = now
                    return _progress(started, event)
            case TransferEnded():
                self._started.pop(event.record.batch, None)
                self._told.pop(event.record.batch, None)
                record = event.record
                if record.failed or all_of_them or record.seconds >= LONG_SECONDS:
                    return _end(event)
        return ""


def _progress(started: TransferStarted, event: TransferProgress) -> str:
    whole = f" of {size(started.size_bytes)}" if started.size_bytes else ""
    rate = f", {size(int(event.bytes_per_second))}/s" if event.bytes_per_second else ""
    why = f" ({plain(event.message)})" if event.message else ""
    return f"{_way(started.source, started.target, started.protocol)}: {size(event.size_bytes)}{whole}{rate}{why}"


def _end(event: TransferEnded) -> str:
    record = event.record
    way = _way(record.source, record.target, record.protocol)
    if record.failed:
        return f"{way}: {record.failed} of {record.files + record.failed} failed: {plain(record.message)}"
    files = f"{record.files} file{'s' * (record.files != 1)}"
    return f"{way}: {files}, {size(record.size_bytes)} in {duration(record.seconds)}"


def _way(source: str, target: str, protocol: str) -> str:
    return f"{source} -> {target} by {protocol}"
