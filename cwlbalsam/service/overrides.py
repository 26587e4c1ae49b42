"""Requirements that come from outside a document: overrides, and those of the job order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

from cwlbalsam.errors import UserError
from cwlbalsam.parser.address import document_uri
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.jobfile import parse_tree, read_file
from cwlbalsam.service.options import RunOptions

REQUIREMENT_KEYS = ("cwl:requirements", "https://w3id.org/cwl/cwl#requirements")
OVERRIDE_KEYS = ("cwltool:overrides", "http://commonwl.org/cwltool#overrides")


def take_key(tree: dict[str, Any], keys: Sequence[str]) -> Any:
    """Removes the keys from the tree; the value of the first that is there, or None."""
    found = [tree.pop(key) for key in keys if key in tree]
    return found[0] if found else None


def resolve_uri(reference: str, base: str) -> str:
    """An absolute URI; the fragment of `reference` is kept."""
    path, fragment = urldefrag(reference)
    return urljoin(base, path) + (f"#{fragment}" if fragment else "")


def requirement_list(written: Any, place: str = "") -> tuple[dict[str, Any], ...]:
    """Requirements as a list, from a list of objects with `class` or a map of class to object."""
    if isinstance(written, dict) and "class" not in written:
        written = [{"class": name, **(body or {})} for name, body in written.items()]
    if not written:
        return ()
    if not isinstance(written, list) or not all(isinstance(item, dict) and "class" in item for item in written):
        raise UserError("requirements must be a list of objects with `class`", place=place)
    return tuple(written)


def absolute_overrides(written: Any, document: str, place: str = "") -> tuple[dict[str, Any], ...]:
    """`{"overrideTarget": absolute URI, "requirements": [...]}` for each override.

    written: map of target to `{requirements: ...}`, or a list of objects with `overrideTarget`. document: the URI that
    targets are relative to, as in cwltool.
    """
    if isinstance(written, dict):
        written = [{"overrideTarget": target, **(body or {})} for target, body in written.items()]
    overrides = []
    for item in written or ():
        if not isinstance(item, dict) or not isinstance(item.get("overrideTarget"), str):
            raise UserError("an override needs `overrideTarget` and `requirements`", place=place)
        target = resolve_uri(item["overrideTarget"], document)
        requirements = list(requirement_list(item.get("requirements"), place))
        overrides.append({"overrideTarget": target, "requirements": requirements})
    return tuple(overrides)


def read_overrides(name: str, document: str) -> tuple[dict[str, Any], ...]:
    """The overrides of a file as `--overrides` names it. document: the URI that targets are relative to."""
    source = read_file(name, Path.cwd())
    tree = parse_tree(source)
    written = take_key(tree, OVERRIDE_KEYS) if isinstance(tree, dict) else None
    if written is None:
        raise UserError("no `cwltool:overrides` here", place=source.name)
    return absolute_overrides(written, document, source.name)


def compile_options(
    document: str, options: RunOptions, overrides: Any = (), requirements: Sequence[dict[str, Any]] = ()
) -> CompileOptions:
    """What a compilation is told by a run's options. overrides (as written), requirements: of the job order."""
    uri = document_uri(document)
    found = absolute_overrides(overrides, uri)
    if options.overrides:
        found += read_overrides(options.overrides, uri)
    return CompileOptions(
        overrides=found,
        requirements=requirements,
        enable_dev=options.enable_dev,
        strict=options.strict,
        skip_schemas=options.skip_schemas,
    )
