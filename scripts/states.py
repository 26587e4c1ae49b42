"""Draws the job states into ARCHITECTURE.md, from the transition table."""

import re
from pathlib import Path

from cwlbalsam.jobs.states import diagram

PATH = Path(__file__).resolve().parent.parent / "ARCHITECTURE.md"
BEGIN, END = "<!-- states:begin -->", "<!-- states:end -->"


def with_diagram(text: str) -> str:
    """The page with the diagram of today between its markers."""
    drawn = f"{BEGIN}\n```mermaid\n{diagram().rstrip()}\n```\n{END}"
    return re.sub(f"{BEGIN}.*{END}", lambda _: drawn, text, flags=re.DOTALL)


if __name__ == "__main__":
    PATH.write_text(with_diagram(PATH.read_text(encoding="utf-8")), encoding="utf-8")
