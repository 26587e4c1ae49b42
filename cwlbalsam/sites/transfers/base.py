"""What a transfer protocol's module offers, and the records that it takes and gives."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Literal, Protocol

from msgspec import Struct

from cwlbalsam.jobs.links import Figures

Kind = Literal["file", "directory"]


class Ssh(Struct, frozen=True, kw_only=True):
    """A login as OpenSSH takes it; what is empty is left to ssh's own configuration. python: the interpreter there."""

    host: str
    port: int = 0
    user: str = ""
    config: str = ""
    identity: str = ""
    python: str = "python3"


class Collection(Struct, frozen=True, kw_only=True):
    """A Globus collection (its UUID). base: the folder of the site's file system that the collection calls `/`."""

    id: str
    base: str = "/"


class WebRoot(Struct, frozen=True, kw_only=True):
    """A web server. base: the folder of the site's file system that `url` leads to."""

    url: str
    base: str = "/"


class Endpoint(Struct, frozen=True, kw_only=True):
    """How a site's files are reached.

    root: absolute; where cwlbalsam may write. local: this machine sees the site's files under the same paths.
    filesystem: sites that give it the same name share their files. gridftp: `gsiftp://host:port`. ways: names of
    protocols, the only ones that may be used from and to other machines, the preferred one first; empty: all. at_once:
    batches that may be under way at the same time, from it and to it; 0: as is usual.
    """

    site: str
    root: str
    local: bool = False
    filesystem: str = ""
    ssh: Ssh | None = None
    gridftp: str = ""
    globus: Collection | None = None
    web: WebRoot | None = None
    ways: tuple[str, ...] = ()
    at_once: int = 0

    @property
    def can_be_asked(self) -> bool:
        """Whether a program can be started at the site, to look at its files."""
        return self.local or self.ssh is not None


def share_files(one: Endpoint, other: Endpoint) -> bool:
    """Whether both see the same files under the same paths."""
    return (
        one.site == other.site
        or (one.local and other.local)
        or (one.filesystem != "" and one.filesystem == other.filesystem)
        or (one.ssh is not None and one.ssh == other.ssh)
    )


def preference(source: Endpoint, target: Endpoint, protocol: str) -> int | None:
    """How far down both ends have put a protocol, 0 for the first; None if one of them does not want it."""
    if share_files(source, target):
        return 0
    told = [end.ways for end in (source, target) if end.ways]
    return sum(ways.index(protocol) for ways in told) if all(protocol in ways for ways in told) else None


class Item(Struct, frozen=True, kw_only=True):
    """One thing to move; a link is followed. Paths are absolute.

    size: in bytes, None if unknown or of a directory. checksum: as CWL has it (`sha1$...`), "" if unknown.
    """

    source: str
    target: str
    size: int | None = None
    checksum: str = ""
    kind: Kind = "file"


class Batch(Struct, frozen=True, kw_only=True):
    """Items that go together over one link. id: a plain word; the same one again goes on where it was cut.

    read_only: nobody will write to what arrives, so links will do.
    """

    id: str
    source: Endpoint
    target: Endpoint
    items: Sequence[Item]
    read_only: bool = False


class Parcel(Struct, frozen=True, kw_only=True):
    """One file on its way. path: absolute, at the source; name: a plain word, in the folder where it arrives.

    holes: parts of it take no room on disk.
    """

    path: str
    name: str
    size: int | None
    holes: bool = False


class Load(Struct, frozen=True, kw_only=True):
    """What a protocol moves: files only, to a folder at the target that is there.

    aliases: a folder at the source with a link to each file under its parcel's name; "" if there is none. resumed: an
    earlier attempt may have left something in the stage.
    """

    id: str
    source: Endpoint
    target: Endpoint
    parcels: Sequence[Parcel]
    stage: str
    aliases: str = ""
    read_only: bool = False
    resumed: bool = False


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class Trouble(StrEnum):
    """Why something did not arrive, as far as it matters for what to do next."""

    NONE = ""
    MISSING = "missing"
    DENIED = "denied"
    CHANGED = "changed"
    CORRUPT = "corrupt"
    FULL = "full"
    UNREACHABLE = "unreachable"
    CUT = "cut"
    SLOW = "slow"
    UNFIT = "unfit"
    LOGIN = "login"
    OTHER = "other"


class Progress(Struct, frozen=True, kw_only=True):
    """How far a transfer is. message: why it is paused or has failed. bytes_per_second: lately, 0 if unknown.

    skipped: names of parcels that a transfer which is otherwise done has not moved, and why.
    """

    state: State = State.RUNNING
    size_bytes: int = 0
    files: int = 0
    bytes_per_second: float = 0.0
    trouble: Trouble = Trouble.NONE
    message: str = ""
    skipped: dict[str, tuple[Trouble, str]] = {}

    @property
    def ended(self) -> bool:
        return self.state in (State.DONE, State.FAILED)


class Result(Struct, frozen=True, kw_only=True):
    """What has become of one item. checksum: if it was computed on the way."""

    item: Item
    trouble: Trouble = Trouble.NONE
    message: str = ""
    size_bytes: int = 0
    files: int = 0
    checksum: str = ""

    @property
    def arrived(self) -> bool:
        return self.trouble is Trouble.NONE


class Transfer(Protocol):
    """A batch on its way. Neither call raises for what goes wrong with the transfer; `poll` tells it."""

    async def poll(self) -> Progress:
        """Where it is now; the same again once it has ended."""

    async def wait(self, seconds: float) -> None:
        """Until it has ended, so long at most."""

    async def cancel(self) -> None:
        """End it; returns when nothing of it writes any more. Does nothing to one that has ended."""


class Carrier(Protocol):
    """One module a protocol."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 -- these are constants of a module

    @property
    def ALIASED(self) -> bool:  # noqa: N802
        """Files are read under plain names, from a folder of links, if something can make one at the source."""

    @property
    def OWN(self) -> bool:  # noqa: N802
        """What arrives is a file of its own, and no link to the source's."""

    @property
    def RESUMES(self) -> bool:  # noqa: N802
        """What an interrupted transfer has left is of use to the next one."""

    def can(self, source: Endpoint, target: Endpoint) -> str:
        """Why it cannot carry from source to target; "" if it can."""

    def refuses(self, source: Endpoint, path: str) -> str:
        """Why it cannot carry a file that has this path at the source; "" if it can."""

    def guess(self, source: Endpoint, target: Endpoint) -> Figures:
        """What to expect of a link that nothing is known of."""

    async def start(self, load: Load) -> Transfer:
        """Raises TransferError if it cannot even begin."""


class Settling(Carrier, Protocol):
    """Reaches targets at which nothing else can put files in place."""

    def stage(self, target: Endpoint, batch: str) -> str:
        """Where a batch's parcels go to."""

    async def settle(self, load: Load, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[Trouble, str]]:
        """Verify and rename: (name, final path). What failed, by name. Raises TransferError."""


class TransferError(Exception):
    """Something that a transfer needs has failed."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.message = message


Watch = Callable[[Progress], None]
