"""What a container engine's module offers: pure functions that make commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from cwlbalsam.cwl.records import Docker

if TYPE_CHECKING:
    from cwlbalsam.cwl.execution import ContainerSpec


class Launch(Struct, frozen=True):
    """A command of the engine's client. environment: what is added to the client's environment for it."""

    argv: list[str]
    environment: dict[str, str] = {}


class Run(Struct, frozen=True):
    """One container to run. image: as `image_name` gave it. name: unique on this machine. stdin: it reads its stdin."""

    binary: str
    spec: "ContainerSpec"
    argv: list[str]
    image: str
    name: str
    stdin: bool = False


class Engine(Protocol):
    """One module an engine. `binary` is the client's path; images are named by what `image_name` returns."""

    BINARIES: tuple[str, ...]
    """Names of the client, the preferred one first."""

    def probe_command(self, binary: str) -> list[str]:
        """Ends with 0 if the engine really works."""

    def image_name(self, docker: Docker, folder: Path) -> str:
        """What `run_command` is to run; "" if only loading it will tell. folder: for engines with image files."""

    def present_command(self, binary: str, image: str) -> list[str]:
        """Ends with 0 if the image is there."""

    def fetch_commands(self, binary: str, docker: Docker, image: str, folder: Path) -> list[list[str]]:
        """Make the image; `folder` holds the Dockerfile, if that is what it is made from. Raises JobError."""

    def run_command(self, run: Run) -> Launch: ...

    def list_command(self, binary: str, prefix: str) -> list[str]:
        """Print the names of running containers that begin so; empty if containers end with their clients."""

    def kill_command(self, binary: str, name: str) -> list[str]:
        """End the container at once; empty if it ends with its client."""
