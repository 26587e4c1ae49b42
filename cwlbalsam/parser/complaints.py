"""What schema-salad complains of, in words that name the mistake and the way out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urldefrag

from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import SchemaSaladException

from cwlbalsam.cwl.records import Primitive
from cwlbalsam.errors import Problem, did_you_mean
from cwlbalsam.parser.fetching import show_uri

PRIMITIVES = get_args(Primitive.__annotations__["name"])
PROCESS_CLASSES = ("CommandLineTool", "ExpressionTool", "Operation", "Workflow")
UNDEFINED = re.compile(r"contains undefined reference to '(file://[^']*)'")
UNREACHABLE = re.compile(r"(Field '.*') contains undefined reference to '(https?://[^']*)'")
UNKNOWN_CLASS = re.compile(r"Field 'class' contains undefined reference to '(https?://.*)'")
UNKNOWN_LOCAL_CLASS = re.compile(r"Field 'class' contains undefined reference to 'file://.*[/#](.*)'")
UNKNOWN_NAME = re.compile(r"Field '(\w+)' references unknown identifier '(.*)', tried (\S+).*", re.DOTALL)
NO_SECTION = re.compile(r'.*?(:\d+:\d+): "(\w+)" section is not valid\.', re.DOTALL)
TYPE_FIELDS = ("type", "items")
SOURCE_FIELDS = ("source", "outputSource")
NAMED_TYPES = ("record", "enum", "array")
YAML_MISTAKES = {
    "found character '\\t'": "YAML forbids tabs at the beginning of a line: use spaces",
    "mapping values are not allowed here": "is the indentation right? A text that holds ': ' needs quotes",
    "expected <block end>": "is the indentation right?",
}

Index = Mapping[str, Any]


def problems_of(error: SchemaSaladException, uri: str, index: Index) -> list[Problem]:
    """A Problem for each complaint. index: the nodes of the document by URI, as far as they are known."""
    found: dict[tuple[str, str], Problem] = {}
    for leaf in error.leaves() or [error]:
        place = show_uri(uri)
        if leaf.file and leaf.start:
            place = f"{show_uri(leaf.file)}:{leaf.start[0]}:{leaf.start[1]}"
        is_syntax = isinstance(error.__cause__ or error.__context__, YAMLError)
        problem = (_syntax_problem if is_syntax else partial(_problem, index=index))(str(leaf.message), place)
        line = problem.place.rpartition(":")[0]  # of one mistake told twice, the second place is the inner one
        found[line, problem.message] = problem
    return list(found.values())


def _syntax_problem(message: str, place: str) -> Problem:
    hint = next((hint for mistake, hint in YAML_MISTAKES.items() if mistake in message), "")
    return Problem(place, f"syntax error: {message}", hint)


def _problem(message: str, place: str, index: Index) -> Problem:
    if section := NO_SECTION.fullmatch(message):
        message = f"required field '{section[2]}' is missing, or neither a mapping nor a list"
        return Problem(f"{place}{section[1]}", message, f"if there are none, add `{section[2]}: []`")
    if unknown := UNKNOWN_LOCAL_CLASS.fullmatch(message):
        return Problem(place, f"unknown class '{unknown[1]}'", did_you_mean(unknown[1], _classes()))
    if (unknown := UNKNOWN_NAME.fullmatch(message)) and unknown[1] in TYPE_FIELDS:
        return Problem(place, f"unknown type '{unknown[2]}'", _suggest(unknown, index))
    shown = re.sub(r",?\s+tried\s+\S+(\s+\S+://\S+)*", "", message).strip()
    reference = UNREACHABLE.fullmatch(shown)
    if reference and not UNKNOWN_CLASS.fullmatch(shown):
        shown = f"{reference[1]}: {reference[2]} cannot be fetched"
    if unknown:
        hint = _suggest(unknown, index)
    else:
        missing = UNDEFINED.search(message)
        hint = similar_files(show_uri(missing[1])) if missing else ""
    return Problem(place, shown.replace("file://", ""), hint)


def _classes() -> list[str]:
    from cwlbalsam.parser.requirements import FEATURES, LOWERINGS  # which reads what the front end has loaded

    return [*PROCESS_CLASSES, *FEATURES, *LOWERINGS]


def _suggest(unknown: re.Match[str], index: Index) -> str:
    field, wanted, tried = unknown.groups()
    base = urldefrag(tried)[0]
    if field in TYPE_FIELDS:
        named = [uri for uri, node in index.items() if isinstance(node, Mapping) and node.get("type") in NAMED_TYPES]
        return did_you_mean(wanted, {*PRIMITIVES, *_fragments(base, named)})
    return did_you_mean(wanted, set(_fragments(base, _sources(index) if field in SOURCE_FIELDS else index)))


def _fragments(base: str, uris: Iterable[str]) -> Iterator[str]:
    for uri in map(str, uris):
        if uri.startswith(f"{base}#") and not uri.endswith("#"):
            yield uri.partition("#")[2]


def _sources(index: Index) -> Iterator[str]:
    """What a link may read: inputs of workflows, and outputs of their steps."""
    for node in list(index.values()):
        if not isinstance(node, Mapping) or node.get("class") != "Workflow":
            continue
        for step in _mappings(node.get("steps")):
            yield from (str(out.get("id") if isinstance(out, Mapping) else out) for out in step.get("out") or ())
        yield from (str(entry.get("id")) for entry in _mappings(node.get("inputs")))


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def similar_files(path: str) -> str:
    """A hint at files beside the one that is not there."""
    folder = Path(path).parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return did_you_mean(Path(path).name, names, shown=lambda name: str(folder / name))
