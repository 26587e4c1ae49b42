"""Locations of files that are at other sites: `site://NAME/path`, beside the `file:///path` of this machine."""

from cwlbalsam.cwl.values import path_of_uri, uri_of

SCHEME = "site://"
HERE = ""
"""The place of this machine's files."""


def location_at(place: str, path: str) -> str:
    """Of an absolute path at a place."""
    uri = uri_of(path)
    return f"{SCHEME}{place}{uri[7:]}" if place else uri


def is_at_site(location: str) -> bool:
    return location.startswith(SCHEME)


def split_location(location: str) -> tuple[str, str]:
    """(place, absolute path). Raises JobError for what is neither a file here nor one at a site."""
    if not is_at_site(location):
        return HERE, path_of_uri(location)
    place, _, path = location.removeprefix(SCHEME).partition("/")
    return place, path_of_uri(f"file:///{path}")
