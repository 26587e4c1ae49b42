"""What commands have printed: kept where the user wants it, and read wherever it is."""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import BinaryIO

import msgspec

from cwlbalsam.cwl.places import is_at_site, split_location
from cwlbalsam.errors import UserError
from cwlbalsam.executor.events import Event, JobEnded, LogsFetched, Reporter
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import Asked
from cwlbalsam.service.run_sites import sites_home_of

COMPLAINT_BYTES = 2000


class KeepLogs:
    """Copies what each job printed into a folder the user named, under the job's name."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self._folder, self._reporter = folder, reporter
        self._elsewhere: dict[str, str] = {}  # name of the copy by location, of what is at sites

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        if isinstance(event, JobEnded) and event.log:
            name = f"{event.name.replace('/', '.') or 'main'}.log"
            if is_at_site(event.log):
                self._elsewhere[event.log] = name
            else:
                self._copy(event.log, name)
        if isinstance(event, LogsFetched):
            for location, path in event.logs.items():
                self._copy(path, self._elsewhere[location])
        self._reporter.report(event)

    def _copy(self, log: str, name: str) -> None:
        """Unless a command has put something else into its place, or nothing."""
        if Path(log).is_file():
            shutil.copyfile(log, self._folder / name)


def log_tail(path: str, most_bytes: int) -> tuple[str, bool]:
    """The last bytes of a file as text, and whether that is all of it; empty if there is no such regular file.

    Whatever a command has put into the place of its file (a pipe, a device) is not waited for.
    """
    try:
        if not path or not Path(path).is_file():
            return "", True
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            return file.read(most_bytes).decode("utf-8", "replace"), size <= most_bytes
    except (OSError, ValueError):
        return "", True


def tail_of(log: str, run: RunRecord, home: Home, most_bytes: int) -> str:
    """`log_tail`, also of a log that is still at its site; empty if the site does not give it."""
    if not is_at_site(log):
        return log_tail(log, most_bytes)[0]
    printed = io.BytesIO()
    try:
        _read_there(log, run, home, printed, ["tail", "-c", str(most_bytes), "--"])
    except UserError:
        return ""
    return printed.getvalue().decode("utf-8", "replace")


def copy_log(log: str, run: RunRecord, home: Home, out: BinaryIO) -> None:
    """All of it, wherever it is. Raises UserError if it cannot be read."""
    if is_at_site(log):
        return _read_there(log, run, home, out, ["cat", "--"])
    try:
        with Path(log).open("rb") as file:
            shutil.copyfileobj(file, out)
    except FileNotFoundError:
        raise UserError(f"{log} is no longer there") from None
    return None


def _read_there(log: str, run: RunRecord, home: Home, out: BinaryIO, reading: list[str]) -> None:
    from cwlbalsam.service.endpoints import login_of
    from cwlbalsam.service.site_files import find_sites, pick_site
    from cwlbalsam.sites.transfers.ssh import remote_command

    options = msgspec.msgpack.decode(run.options, type=Asked).options
    base = Path(options.directory or ".")
    name, path = split_location(log)
    site = pick_site(find_sites(sites_home_of(options, home), [base / each for each in options.sites]), name)
    command = remote_command(login_of(site), [*reading, path])
    code, words = read_from(command, out)
    if code:
        raise UserError(f"{path} cannot be read at site '{name}': {words or f'code {code}'}")


def read_from(command: list[str], out: BinaryIO) -> tuple[int, str]:
    """Copies what a command prints; its exit code, and the end of what it complains of, however much that is."""
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints) as there:
            assert there.stdout is not None
            shutil.copyfileobj(there.stdout, out)
        complaints.seek(max(0, complaints.seek(0, 2) - COMPLAINT_BYTES))
        return there.returncode, complaints.read().decode("utf-8", "replace").strip()
