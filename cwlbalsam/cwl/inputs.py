"""From what a job was sent to the inputs its process sees: the step's prologue, defaults, checks, loading."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cwlbalsam.cwl.downloads import download
from cwlbalsam.cwl.formats import check_format
from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.places import is_at_site
from cwlbalsam.cwl.records import (
    ArrayType,
    Field,
    Primitive,
    Process,
    RecordType,
    Type,
    UnionType,
)
from cwlbalsam.cwl.secondary import add_secondary_files
from cwlbalsam.cwl.types import check, matches
from cwlbalsam.cwl.values import (
    Value,
    files_and_directories,
    is_remote,
    load_contents,
    load_listing,
    normalise_all,
    path_of,
)
from cwlbalsam.errors import JobError, Problem

# --- the process's own inputs --------------------------------------------------------------------------------------


def fill_and_check(process: Process, values: dict[str, Any], defaulted: set[str]) -> dict[str, Any]:
    """The declared inputs with defaults filled in (and named in `defaulted`) and types checked.

    Raises JobError with all mistakes.
    """
    inputs: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in process.inputs:
        value = values.get(field.name)
        if value is None and field.default is not None:
            value = copy.deepcopy(field.default)
            defaulted.add(field.name)
        if type(value) in (dict, list):
            normalise_all(value)
        inputs[field.name] = value
        if matches(value, field.type):
            continue
        if value is None:
            problems.append(Problem(field.place, f"input '{field.name}' is required, but has no value"))
        else:
            for message in check(value, field.type, f"inputs.{field.name}"):
                problems.append(Problem(field.place, message))
    if problems:
        raise JobError.of(problems)
    return inputs


def bind_inputs(frame: Frame, top: bool, ontology: Mapping[str, Sequence[str]], directory: str) -> None:
    """Bring in remote files, check that files exist, then do what each parameter asks for with its Files.

    top: the values come from the user: all their files are checked. directory: where downloads are shared.
    """
    depth = frame.requirements.load_listing
    for field in frame.process.inputs:
        value = frame.inputs[field.name]
        if type(value) not in (dict, list):
            continue
        for found in list(files_and_directories(value)):  # a listing that is loaded here is not walked
            if is_remote(found):
                download(found, directory)
            if is_at_site(found.get("location", "")):
                continue  # it is looked at where it is read
            if found["class"] == "File":
                _fill_size(found, top, field.name)
            elif top:
                _check_directory(found, field.name)
            if depth != "no_listing" and found["class"] == "Directory":
                load_listing(found, depth)
        if asks_for_work(field):
            Binder(frame, top or field.name in frame.defaulted, ontology).bind(
                field, field.type, value, f"inputs.{field.name}"
            )


@once_for_each
def asks_for_work(field: Field) -> bool:
    """True if the parameter, or a field of a record in it, has more to be done than being passed on."""
    if field.secondary_files or field.format or field.load_contents or field.load_listing:
        return True
    return _type_asks(field.type)


def _type_asks(kind: Type) -> bool:
    if isinstance(kind, UnionType):
        return any(map(_type_asks, kind.options))
    if isinstance(kind, ArrayType):
        return _type_asks(kind.items)
    return isinstance(kind, RecordType) and any(
        inner.default is not None or asks_for_work(inner) for inner in kind.fields
    )


class Binder:
    """Applies format, loadContents, loadListing and secondaryFiles of parameters and record fields."""

    def __init__(self, frame: Frame, discover: bool, ontology: Mapping[str, Sequence[str]]) -> None:
        self.frame = frame
        self.discover = discover
        self.ontology = ontology

    def bind(self, field: Field, kind: Type, value: Any, where: str) -> None:
        if isinstance(kind, UnionType):
            kind = next((option for option in kind.options if matches(value, option)), kind.options[0])
        if isinstance(kind, ArrayType) and isinstance(value, list):
            for index, item in enumerate(value):
                self.bind(field, kind.items, item, f"{where}[{index}]")
        elif isinstance(kind, RecordType) and isinstance(value, dict):
            for inner in kind.fields:
                if value.get(inner.name) is None and inner.default is not None:
                    value[inner.name] = copy.deepcopy(inner.default)
                if type(value.get(inner.name)) in (dict, list):
                    self.bind(inner, inner.type, value[inner.name], f"{where}.{inner.name}")
        elif isinstance(kind, Primitive) and isinstance(value, dict):
            if kind.name == "File":
                self._bind_file(field, value, where)
            elif kind.name == "Directory":
                if field.load_listing:
                    load_listing(value, field.load_listing)
                add_secondary_files(self.frame, field.secondary_files, value, self.discover, where)

    def _bind_file(self, field: Field, value: Value, where: str) -> None:
        if field.load_contents:
            load_contents(value, self.frame.version)
        add_secondary_files(self.frame, field.secondary_files, value, self.discover, where)
        if field.format:
            check_format(value, self._formats(field, where), self.ontology, where)

    def _formats(self, field: Field, where: str) -> list[str]:
        formats: list[str] = []
        for template in field.format:
            found = self.frame.evaluate(template)
            for item in found if isinstance(found, list) else [found]:
                if not isinstance(item, str):
                    raise wrong(f"{where}: 'format'", "a string or a list of strings", item, template)
                formats.append(item)
        return formats


# --- files ---------------------------------------------------------------------------------------------------------


def _fill_size(value: Value, top: bool, name: str) -> None:
    if "location" not in value:
        value.setdefault("size", len(value["contents"].encode()))
        return
    if "size" in value and not top:
        return
    path = path_of(value)
    try:
        found = os.stat(path)
    except OSError as error:
        raise JobError(f"input '{name}': file {path}: {error.strerror}") from error
    if not os.path.isfile(path) and os.path.isdir(path):
        raise JobError(f"input '{name}': {path} is a directory, not a file")
    value["size"] = found.st_size


def _check_directory(value: Value, name: str) -> None:
    if "location" not in value:
        return
    path = path_of(value)
    if not os.path.isdir(path):
        problem = "is not a directory" if os.path.exists(path) else "No such directory"
        raise JobError(f"input '{name}': directory {path}: {problem}")
