"""Rewrites a CWL v1.2 document to another version, where that keeps its meaning."""

from collections.abc import Iterator
from typing import Any

FROM = "v1.2"


class Unconvertible(Exception):
    """The document needs what the version has not, or says otherwise in a way that is no mere spelling."""


def convert(document: Any, version: str) -> None:
    """In place. What is left that the version does not know is for its schema to find."""
    if isinstance(document, dict) and document.get("cwlVersion") == FROM:
        document["cwlVersion"] = version
        if version == "v1.0":
            for process in document.get("$graph", [document]):
                _process_to_v1_0(process)


def _process_to_v1_0(process: dict[str, Any]) -> None:
    for field in ("requirements", "hints"):
        if field in process:
            process[field] = _requirements_to_v1_0(process[field])
            if not process[field]:
                del process[field]
    for name, parameter in _named(process.get("inputs")):
        _input_to_v1_0(name, parameter, process)
    for _, parameter in _named(process.get("outputs")):
        _secondary_files_to_v1_0(parameter)
    for _, step in _named(process.get("steps")):
        for field in ("requirements", "hints"):
            if field in step:
                step[field] = _requirements_to_v1_0(step[field])
        if isinstance(step.get("run"), dict):
            _process_to_v1_0(step["run"])
    _stdin_to_v1_0(process)


def _requirements_to_v1_0(entries: Any) -> Any:
    """v1.0 always lets a process reach the network and always lists folders at all depths."""
    if isinstance(entries, dict):
        return {name: entry for name, entry in entries.items() if not _is_default(name, entry or {})}
    return [entry for entry in entries if not _is_default(entry.get("class"), entry)]


def _is_default(name: str | None, entry: dict[str, Any]) -> bool:
    if name == "NetworkAccess" and entry.get("networkAccess") is True:
        return True
    if name == "LoadListingRequirement":
        _check_listing(entry.get("loadListing"))
        return True
    return False


def _check_listing(listing: Any) -> None:
    """What a shallow listing shows is in v1.0's deep one too."""
    if listing == "no_listing":
        raise Unconvertible("v1.0 always lists folders")


def _input_to_v1_0(name: str, parameter: dict[str, Any], process: dict[str, Any]) -> None:
    if "loadListing" in parameter:
        _check_listing(parameter.pop("loadListing"))
    _secondary_files_to_v1_0(parameter)
    if "loadContents" in parameter and process.get("class") != "Workflow":
        # In v1.0 it is a part of the binding. A binding would add a tool's parameter to its command line.
        if process.get("class") == "CommandLineTool" and "inputBinding" not in parameter:
            raise Unconvertible("v1.0 has loadContents only with a binding")
        parameter.setdefault("inputBinding", {})["loadContents"] = parameter.pop("loadContents")


def _stdin_to_v1_0(process: dict[str, Any]) -> None:
    inputs = process.get("inputs")
    for name, parameter in [*_named(inputs)]:
        if parameter.get("type") == "stdin":
            parameter["type"] = "File"
            process["stdin"] = f"$(inputs[{name!r}].path)"
    if isinstance(inputs, dict):
        for name in [name for name, value in inputs.items() if value == "stdin"]:
            inputs[name] = "File"
            process["stdin"] = f"$(inputs[{name!r}].path)"


def _secondary_files_to_v1_0(parameter: dict[str, Any]) -> None:
    """Patterns as objects become strings, where all are required: v1.0 has no way to say that one is not."""
    if "secondaryFiles" not in parameter:
        return
    entries = parameter["secondaryFiles"]
    parameter["secondaryFiles"] = (
        [_pattern(entry) for entry in entries] if isinstance(entries, list) else _pattern(entries)
    )


def _pattern(entry: Any) -> str:
    pattern = entry.get("pattern", "") if isinstance(entry, dict) else entry
    required = entry.get("required", True) if isinstance(entry, dict) else True
    if required is not True or (pattern.endswith("?") and not pattern.startswith("$")):
        raise Unconvertible("v1.0 has no secondary files that may be missing")
    return str(pattern)


def _named(entries: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters or steps written as objects, in either of CWL's two ways."""
    if isinstance(entries, dict):
        yield from (
            (name, entry) for name, entry in entries.items() if isinstance(entry, dict) and "$import" not in entry
        )
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "$import" not in entry:
            yield str(entry.get("id", "")).rpartition("#")[2], entry
