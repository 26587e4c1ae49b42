"""Tables of figures, as markdown and as JSON."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

Cell = str | float | int


class Table(Struct, frozen=True, kw_only=True):
    """columns: their headers; notes: sentences below it, how it was measured and what it shows."""

    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str] = []


def markdown(table: Table) -> list[str]:
    """Its lines; numbers to the right."""
    first = table.rows[0] if table.rows else table.columns
    rule = ["---" if isinstance(cell, str) else "---:" for cell in first]
    body = [[_text(cell) for cell in row] for row in table.rows]
    return [f"| {' | '.join(row)} |" for row in (table.columns, rule, *body)]


def write(name: str, title: str, table: Table, about: Sequence[str], folder: Path) -> None:
    """Keep `<name>.md` and `.json`. about: when, where and how."""
    folder.mkdir(parents=True, exist_ok=True)
    below = [line if line.startswith("  ") else f"- {line}" for line in (*about, *table.notes)]
    (folder / f"{name}.md").write_text("\n".join([f"# {name}: {title}", "", *markdown(table), "", *below, ""]))
    kept = {"experiment": name, "title": title, "about": list(about), "table": table}
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}" if abs(cell) < 1 else f"{cell:.1f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
