"""File formats: is one a kind of the other, by the document's ontologies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cwlbalsam.errors import JobError


def is_a(actual: str, wanted: Iterable[str], ontology: Mapping[str, Sequence[str]]) -> bool:
    """Follows parents and equivalents from `actual` until one of `wanted` is met."""
    targets = set(wanted)
    seen = {actual}
    pending = [actual]
    while pending:
        name = pending.pop()
        if name in targets:
            return True
        for parent in ontology.get(name, ()):
            if parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return False


def check_format(
    file: Mapping[str, Any], wanted: Sequence[str], ontology: Mapping[str, Sequence[str]], where: str
) -> None:
    """Raises JobError if a File's format is missing or none of the wanted."""
    actual = file.get("format")
    allowed = " or ".join(wanted)
    if not actual:
        raise JobError(
            f"{where}: {file.get('basename')!r} has no format, expected {allowed}",
            hint="say it in the input object: format: ...",
        )
    if not is_a(actual, wanted, ontology):
        raise JobError(f"{where}: {file.get('basename')!r} has format {actual}, expected {allowed}")
