"""Texts that are small and stand for something endless: aliases of aliases, imports in a circle.

cwltool and schema-salad would copy until memory ends, or recurse in compiled code until the process crashes.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urldefrag, urljoin

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent
from schema_salad.exceptions import ValidationException

MAX_NODES = 1_000_000
"""Of one file, its aliases written out; cwltool needs some 10 s for as many."""
ALIAS = re.compile(r"(^|[\s\[{,:-])\*[^\s*]", re.MULTILINE)


def check_aliases(text: str, name: str) -> None:
    """Raises ValidationException if aliases make the text too large, or contain themselves."""
    if not ALIAS.search(text):
        return
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    try:
        for event in YAML(typ="rt", pure=True).parse(text):
            if isinstance(event, CollectionStartEvent):
                open_nodes.append((event.anchor, total))
            elif isinstance(event, CollectionEndEvent):
                anchor, before = open_nodes.pop()
                if anchor is not None:
                    sizes[anchor] = total - before + 1
            elif isinstance(event, AliasEvent):
                if any(anchor == event.anchor for anchor, _ in open_nodes):
                    line = event.start_mark.line + 1
                    raise ValidationException(f"{name}:{line}: alias '{event.anchor}' contains itself")
                total += sizes.get(event.anchor, 1)
            if isinstance(event, NodeEvent):
                total += 1
            if total > MAX_NODES:
                raise ValidationException(f"{name}: with its aliases written out it has more than {MAX_NODES} nodes")
    except YAMLError:
        return  # whoever reads it tells what is wrong


def check_imports(node: Any, uri: str, fetch: Callable[[str], Any]) -> None:
    """Raises ValidationException if a document imports itself, be it through others. fetch: the tree at a URL."""
    done: set[str] = set()

    def follow(tree: Any, base: str, above: tuple[str, ...]) -> None:
        for target in _imports(tree):
            url, fragment = urldefrag(urljoin(base, target))
            if fragment:
                continue  # a part of a document, be it this one
            if url in above:
                raise ValidationException(f"it imports itself, by `$import: {target}`")
            if url not in done:
                done.add(url)
                follow(fetch(url), url, (*above, url))

    follow(node, uri, (uri,))


def _imports(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(target := node.get("$import"), str):
            yield target
        node = list(node.values())
    if isinstance(node, list):
        for entry in node:
            if isinstance(entry, Mapping | list):
                yield from _imports(entry)


def write_out_aliases(node: Any, text: str) -> None:
    """Give each use of an alias a node of its own: the loader writes identifiers into nodes."""
    if not ALIAS.search(text):
        return
    seen: set[int] = set()

    def walk(tree: Any) -> None:
        items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for key, value in list(items):
            if isinstance(value, Mapping | list):
                if id(value) in seen:
                    tree[key] = value = copy.deepcopy(value)
                seen.add(id(value))
                walk(value)

    walk(node)
