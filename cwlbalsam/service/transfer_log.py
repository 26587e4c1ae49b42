"""What was brought from site to site during a run: a line of JSON for each batch, in the run's folder."""

import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.executor.events import Event, Reporter, TransferEnded
from cwlbalsam.jobs.links import TransferRecord
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.service.leftovers import TRANSFERS_FILE

_lines = msgspec.json.Decoder(TransferEnded)


class TransferLog:
    """Keeps the ends of transfers, and passes all events on."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter

    def report(self, event: Event) -> None:
        """See `Reporter`. A log that cannot be written costs no run."""
        if isinstance(event, TransferEnded):
            with contextlib.suppress(OSError), self._path.open("ab") as file:
                file.write(msgspec.json.encode(event) + b"\n")
        self._reporter.report(event)


class RunTransfers(Struct, frozen=True):
    run: str
    transfers: list[TransferEnded]

    @property
    def records(self) -> list[TransferRecord]:
        return [each.record for each in self.transfers]


def transfers_of(run: RunRecord) -> RunTransfers:
    """In the order in which they ended; a torn line is left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path(run.directory, TRANSFERS_FILE).read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                found.append(_lines.decode(line))
    return RunTransfers(run.id, found)
