"""Output objects of different runners, made comparable."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CONTENT_BYTES = 64 << 20
"""The content of bigger files is compared only if the runner has told their checksums."""


def normalise(value: Any) -> Any:
    """What must be the same whoever made it: names, sizes and contents; not places. Directories are read from disk."""
    if isinstance(value, list):
        return [normalise(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") == "File":
        return _file(value)
    if value.get("class") == "Directory":
        path = _path(value)
        found = sorted(entry for entry in path.rglob("*") if entry.is_file())
        return {
            "class": "Directory",
            "basename": value.get("basename") or path.name,
            "files": [(str(entry.relative_to(path)), _checksum(entry)) for entry in found],
        }
    return {name: normalise(entry) for name, entry in value.items()}


def contents(value: Any) -> list[str]:
    """The checksums of all files of a normalised value, sorted."""
    if isinstance(value, list):
        return sorted(text for entry in value for text in contents(entry))
    if not isinstance(value, dict):
        return []
    if value.get("class") == "File":
        return sorted([value["checksum"], *contents(value.get("secondaryFiles"))])
    if value.get("class") == "Directory":
        return sorted(checksum for _, checksum in value["files"])
    return sorted(text for entry in value.values() for text in contents(entry))


def folder_contents(folder: Path) -> list[str]:
    """The same, of all files in a folder."""
    return sorted(_checksum(path) for path in folder.rglob("*") if path.is_file())


def _file(value: dict[str, Any]) -> dict[str, Any]:
    path = _path(value)
    size = path.stat().st_size
    checksum = value.get("checksum") or (_checksum(path) if size <= CONTENT_BYTES else "")
    normal = {"class": "File", "basename": value.get("basename") or path.name, "size": size, "checksum": checksum}
    if value.get("secondaryFiles"):
        normal["secondaryFiles"] = sorted(normalise(value["secondaryFiles"]), key=str)
    return normal


def _path(value: dict[str, Any]) -> Path:
    location = value.get("location") or value["path"]
    return Path(unquote(urlsplit(location).path) if location.startswith("file:") else location)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha1${hashlib.file_digest(file, 'sha1').hexdigest()}"
