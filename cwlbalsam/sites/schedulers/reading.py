"""Readers of single values in the output of schedulers: total, for foreign text may be anything."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

LARGEST = 2**53
"""Numbers beyond are no counts, sizes or times."""
_UNITS = {"": 1 / 2**20, "b": 1 / 2**20, "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 2.0**20, "p": 2.0**30}
_BARE_WORD = re.compile(
    r"""(?<=":)(\s*)(?!["\[{\s]|(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?)\s*[,}\]])([^,}\]\n]+)"""
)


def number(value: object, otherwise: int = 0) -> int:
    """The whole number that the text begins with."""
    found = re.match(r"\s*(\d+)", str(value)[:40])
    count = int(found[1]) if found else otherwise
    return count if count < LARGEST else otherwise


def clock(value: object, *, unit: float = 1.0) -> float:
    """Seconds of `D-HH:MM:SS`, `HH:MM:SS`, `MM:SS` or a number of units; 0.0 for anything else (`UNLIMITED`).

    unit: seconds of a number that stands alone.
    """
    text = str(value).strip()
    found = re.fullmatch(r"(?:(\d{1,6})-)?(\d{1,9})(?::(\d{1,2}))?(?::(\d{1,2}))?", text)
    if not found:
        alone = re.match(r"(\d{1,12}(?:\.\d{1,6})?)(?:\s|$)", text)
        return float(alone[1]) * unit if alone else 0.0
    days, *rest = found.groups()
    fields = [int(field) for field in rest if field is not None]
    if days is not None:  # D-HH, D-HH:MM and D-HH:MM:SS
        fields += [0] * (3 - len(fields))
    elif len(fields) == 1:
        return fields[0] * unit
    seconds = 0
    for field in fields:
        seconds = seconds * 60 + field
    return float(int(days or 0) * 86400 + seconds)


def megabytes(value: object, unit: str = "") -> int:
    """MiB of `4000M`, `132gb`, `4194304kb` or a number of units (one of b, k, m, g, t, p)."""
    found = re.match(r"\s*(\d{1,18}(?:\.\d{1,6})?)\s*([bkmgtp]?)", str(value).lower())
    if not found:
        return 0
    size = float(found[1]) * _UNITS[found[2] or unit]
    return int(size) if size < LARGEST else 0


def moment(value: object, *formats: str, now: float = 0.0) -> float:
    """Seconds since the epoch of a time in one of the formats, in UTC unless it tells its zone; else 0.0.

    A format without a year means the time nearest to `now`.
    """
    text = " ".join(re.sub(r"\([^)]*\)", "", str(value)[:80]).split())  # `+0000 (UTC)`
    for form in formats:
        if "%Y" in form:
            guesses = [_read(text, form)]
        else:
            year = time.gmtime(now).tm_year
            guesses = [_read(f"{near} {text}", f"%Y {form}") for near in (year - 1, year, year + 1)]
        found = [guess for guess in guesses if guess]
        if found:
            return min(found, key=lambda guess: abs(guess - now))
    return 0.0


def _read(text: str, form: str) -> float:
    try:
        told = datetime.strptime(text, form)
        return max((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


def epoch(value: object) -> float:
    """Seconds since the epoch, of such a number or of ISO 8601 in UTC; 0.0 for anything else (`N/A`, `Unknown`)."""
    text = str(value).strip()
    return float(number(text)) if re.fullmatch(r"\d{1,15}(\.\d*)?", text) else moment(text, "%Y-%m-%dT%H:%M:%S")


def json_of(text: str) -> dict[str, Any]:
    """The JSON object in the text; {} if there is none.

    Skipped are lines before it (LSF's "Please wait ..."). PBS prints some strings, such as a name `inf` or `007`,
    without their quotes: these are repaired.
    """
    found = text[max(text.find("{"), 0) :]
    for attempt in (found, _BARE_WORD.sub(_quoted, found)):
        try:
            value = msgspec.json.decode(attempt)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        return value if isinstance(value, dict) else {}
    return {}


def _quoted(found: re.Match[str]) -> str:
    return found[1] + msgspec.json.encode(found[2].strip()).decode()


def records_of(value: object) -> list[dict[str, Any]]:
    """Those items of a JSON list that are objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def objects_of(value: object) -> dict[str, dict[str, Any]]:
    """Those members of a JSON object that are objects."""
    if not isinstance(value, dict):
        return {}
    return {str(name): member for name, member in value.items() if isinstance(member, dict)}


def text_of(value: object) -> str:
    """A JSON string or number as text; "" for anything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def fields_of(line: str) -> dict[str, str]:
    """`Name=value Other=...`, as scontrol --oneliner prints it. A value has no spaces."""
    return dict(re.findall(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)", line))


def columns_of(output: str) -> Iterator[dict[str, str]]:
    """The rows of a table whose header stands above a line of `===`; a column begins where its title does."""
    lines = output.splitlines()
    titles: list[tuple[str, int, int | None]] = []
    for above, line in zip(["", *lines], lines, strict=False):
        if re.fullmatch(r"={3,}\s*", line):
            starts = [found.start() for found in re.finditer(r"(?:^|(?<=\s\s))\S", above)]
            spans = zip(starts, [*starts[1:], None], strict=False)
            titles = [(above[start:end].strip(), start, end) for start, end in spans]
        elif titles and line.strip():
            yield {title: line[start:end].strip() for title, start, end in titles}
