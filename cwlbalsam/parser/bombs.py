"""Texts that are small and stand for something endless: aliases of themselves, imports in a circle.

cwltool and schema-salad would copy until memory ends, or recurse in compiled code until the process crashes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from schema_salad.exceptions import SchemaSaladException, ValidationException

ALIAS = re.compile(r"(^|[\s\[{,:-])\*[^\s*]", re.MULTILINE)


def check_aliases(text: str) -> None:
    """Raises ValidationException if an alias stands for something that holds it."""
    if not ALIAS.search(text):
        return
    around: list[str | None] = []
    try:
        for event in YAML(typ="rt", pure=True).parse(text):
            if isinstance(event, CollectionStartEvent):
                around.append(event.anchor)
            elif isinstance(event, CollectionEndEvent):
                around.pop()
            elif isinstance(event, AliasEvent) and event.anchor in around:
                raise ValidationException(f"alias '{event.anchor}' in line {event.start_mark.line + 1} contains itself")
    except YAMLError:
        return  # whoever reads it tells what is wrong


def check_imports(node: Any, uri: str, fetch: Callable[[str], str]) -> None:
    """Raises ValidationException if a document imports itself, be it through others. fetch: the text at a URL.

    It reads for itself: what a loader has fetched, it resolves in another way.
    """
    done: set[str] = set()

    def follow(tree: Any, base: str, above: tuple[str, ...]) -> None:
        for target in _imports(tree):
            url = urljoin(base, target)
            if url in above:
                raise ValidationException(f"it imports itself, by `$import: {target}`")
            if url not in done:
                done.add(url)
                follow(_tree(fetch, url), url, (*above, url))

    follow(node, uri, (uri,))


def _tree(fetch: Callable[[str], str], url: str) -> Any:
    """What is read there, None if it cannot be: whoever needs it tells why."""
    with suppress(YAMLError, SchemaSaladException):
        return YAML(typ="safe", pure=True).load(fetch(url))
    return None


def _imports(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(target := node.get("$import"), str) and "#" not in target:  # a part may import another part
            yield target
        node = list(node.values())
    if isinstance(node, list):
        for entry in node:
            if isinstance(entry, Mapping | list):
                yield from _imports(entry)
