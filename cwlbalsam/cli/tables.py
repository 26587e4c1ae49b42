"""How times, sizes and rows are printed."""

import math
import re
import time
from collections.abc import Sequence
from typing import Any

import click

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned columns; numbers (a header that ends with a space) to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip([name.strip() for name in header], *cells, strict=True)]
    for row in [[name.strip() for name in header], *cells]:
        aligned = (
            cell.rjust(width) if name.endswith(" ") else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        )
        click.echo("  ".join(aligned).rstrip())


def plain(text: str) -> str:
    """One line without control characters: names come from documents, which must not command a terminal.

    Nor with halves of characters, which file names may have and no terminal can print.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+", " ", text)


def plain_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(map(plain, text.split("\n")))


def duration(seconds: float) -> str:
    """0.4s, 59.9s, 3m05s, 2h00m, 3d04h."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def when(seconds: float) -> str:
    """Local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def size(number: float) -> str:
    """412 B, 3.1 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


class Span(click.ParamType[float]):
    """A length of time: 90s, 15m, 12h, 30d, 4w. Its value is in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", str(value))
        if match is None:
            self.fail(f"'{value}' is not a length of time such as 90s, 15m, 12h, 30d or 4w.", param, ctx)
        return float(match[1]) * UNITS[match[2]]


class Folder(click.ParamType[str]):
    """A directory of this machine, whether it is there or not."""

    name = "directory"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if "://" in str(value):
            self.fail(f"'{value}' is an address: name a directory of this machine.", param, ctx)
        return str(value)


class Number(click.FloatRange):
    """A number within bounds; click takes what is no number to be within all."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"'{value}' is not a number.", param, ctx)
        return number
