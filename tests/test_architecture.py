"""ARCHITECTURE.md shows the state machine as it is."""

from pathlib import Path

from cwlbalsam.jobs.states import diagram


def test_the_diagram_of_job_states_is_drawn_from_the_transition_table() -> None:
    page = (Path(__file__).parent.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram().rstrip()}\n```" in page, "run scripts/states.py"
