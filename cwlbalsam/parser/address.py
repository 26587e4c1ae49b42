"""Where a document is, as people name it."""

from pathlib import Path


def is_address(name: str) -> bool:
    """Whether it is fetched over the network."""
    return name.startswith(("http://", "https://"))


def document_uri(name: str) -> str:
    """The absolute URI of a document: of an address, or of a path with or without `#process`."""
    if is_address(name) or name.startswith("file:"):
        return name
    if "#" not in name or Path(name).exists():
        return Path(name).absolute().as_uri()
    path, _, fragment = name.partition("#")
    return f"{Path(path).absolute().as_uri()}#{fragment}"
