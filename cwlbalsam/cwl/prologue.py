"""What a step does to its inputs before its process sees them: loadContents, valueFrom, when."""

from typing import Any

from cwlbalsam.cwl.frame import evaluate_in_scope, wrong
from cwlbalsam.cwl.records import Expr, ListingDepth, Step
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.cwl.values import load_contents, load_listing, normalise_all, outermost


def apply_links(
    step: Step, inputs: dict[str, Any], previous: dict[str, Any] | None, settings: Settings
) -> dict[str, Any]:
    """The step's inputs after loadContents, loadListing and valueFrom.

    previous: the inputs of the iteration before if the loop's links count, else None. What loop links do not name
    carries over from there; their valueFrom sees those inputs.
    """
    looping = previous is not None and step.loop is not None
    links = step.loop.links if looping and step.loop is not None else step.inputs
    before = {**previous, **inputs} if previous is not None else inputs
    for link in links:
        value = before.setdefault(link.name, None)
        if type(value) in (dict, list) and (link.load_contents or link.load_listing or link.value_from is not None):
            normalise_all(value)
            _load(value, link.load_contents, link.load_listing, step.version)
    if all(link.value_from is None for link in links):
        return before
    seen = dict(previous) if previous is not None else dict(before)
    if step.when is not None or any(isinstance(link.value_from, Expr) for link in links):
        for value in seen.values():
            if type(value) in (dict, list):
                normalise_all(value)
    after = dict(before)
    for link in links:
        if link.value_from is not None:
            after[link.name] = evaluate_in_scope(link.value_from, step.scope, seen, before[link.name], settings)
    return after


def is_wanted(step: Step, inputs: dict[str, Any], settings: Settings) -> bool:
    """Does `when` hold; it sees the inputs after valueFrom."""
    if step.when is None:
        return True
    for value in inputs.values():
        if type(value) in (dict, list):
            normalise_all(value)
    value = evaluate_in_scope(step.when, step.scope, inputs, None, settings)
    if not isinstance(value, bool):
        raise wrong(f"step '{step.name}': 'when'", "true or false", value, step.when)
    return value


def _load(value: Any, contents: bool, listing: ListingDepth | None, version: str) -> None:
    for found in outermost(value):
        if contents and found["class"] == "File":
            load_contents(found, version)
        elif listing is not None and found["class"] == "Directory":
            load_listing(found, listing)
