"""Derives the suites of CWL v1.0, v1.1 and v1.3.0-dev1 from the official v1.2 suite's documents.

cwltool's package holds each version's official list of tests, with the expected outputs, but not their documents. Most
of those have the same name in the v1.2 suite, and differ in what the version spells otherwise. `derive` rewrites them
where that can be done mechanically, checks each by its version's own schema, and leaves out the other tests, each with
its reason. By hand: python -m tests.conformance.derive SUITE_FOLDER v1.0 TARGET_FOLDER
"""

import json
import logging
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conformance.convert import FROM, Unconvertible, convert

LISTS = {
    "v1.0": "conformance_test_v1.0.yaml",
    "v1.1": "conformance_tests.yaml",
    "v1.3.0-dev1": "conformance_tests.yaml",
}
SOURCE_FOLDER = "tests"
DIFFERENT = {
    ("v1.0", "vf-concat.cwl"): "the list expects valueFrom to be evaluated on null, which later versions forbid",
    ("v1.1", "wc-tool-shortcut.cwl"): "no such document in the v1.2 suite",
}
"""Tests by version and document that cannot be told from the v1.2 suite."""
OLDER_TEXTS = {"count-lines13-wf.cwl": (("file1: File", "file1: File[]"), ("wc2-tool.cwl", "wc3-tool.cwl"))}
"""Where v1.2 has changed what a document does, and the old lists' outputs are of the text before."""
OTHER_SCRIPTS = ("search.cwl#main", "linkfile.cwl")
"""The v1.2 suite's helper scripts write other bytes than the first ones: its outputs hold for all versions."""


@dataclass
class Derived:
    """suite: the list that was written; listed: tests in the official list; left_out: test -> why."""

    suite: Path
    listed: int = 0
    kept: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        reasons = Counter(re.sub(r"^\S+: ", "", reason) for reason in self.left_out.values())
        lines = [f"{self.listed} tests listed, {self.kept} derived, {len(self.left_out)} left out"]
        lines += [f"  {count:3}  {reason}" for reason, count in reasons.most_common()]
        return "\n".join(lines)


def derive(source: Path, version: str, target: Path) -> Derived:
    """source: folder of the v1.2 suite. target: a new folder for the list, its documents and its data."""
    listing = YAML(typ="safe").load(files("cwltool").joinpath("schemas", version, LISTS[version]).read_text("utf-8"))
    tests = [*_with_imports(listing, source)]
    outputs = {_name(test): test.get("output") for test in _load(source / "conformance_tests.yaml") if "tool" in test}
    folder = tests[0]["tool"].split("/")[0]
    shutil.copytree(source / SOURCE_FOLDER, target / folder, ignore=shutil.ignore_patterns("*.cwl", "*.rdf~"))
    _add_other_suffixes(target / folder)
    documents = Documents(source / SOURCE_FOLDER, target / folder, version)
    derived = Derived(target / "conformance_tests.yaml", listed=len(tests))
    kept = []
    for number, test in enumerate(tests, 1):
        name = f"{number}_{test.get('label') or test.get('id') or Path(test['tool']).stem}"
        problem = _problem(test, documents, target)
        if problem:
            derived.left_out[name] = problem
        else:
            kept.append({**test, "id": number, "label": name})
            if _name(test) in OTHER_SCRIPTS:
                kept[-1]["output"] = outputs[_name(test)]
    derived.kept = len(kept)
    kept.sort(key=lambda test: "timelimit" not in test.get("tags", ()))  # they sleep, while the others run
    derived.suite.write_text(json.dumps(kept, indent=1, ensure_ascii=False), "utf-8")
    return derived


def _with_imports(listing: list[dict[str, Any]], source: Path) -> Iterator[dict[str, Any]]:
    """Lists in folders of documents are the v1.2 suite's: the package does not hold them."""
    for entry in listing:
        path = source / str(entry.get("$import", "."))
        if path.is_file():
            for test in _load(path):
                moved = {
                    key: f"{Path(entry['$import']).parent}/{test[key]}" for key in ("tool", "job") if test.get(key)
                }
                if "$import" in (test.get("output") or {}):
                    moved["output"] = _load(path.parent / test["output"]["$import"])
                yield {**test, **moved}
        elif "$import" not in entry:
            yield entry


def _name(test: dict[str, Any]) -> str:
    """Its document in the suite's folder of documents, with the fragment."""
    return str(test["tool"]).partition("/")[2]


def _problem(test: dict[str, Any], documents: "Documents", target: Path) -> str:
    """Why a test cannot be derived; empty if it can."""
    if test.get("job") and not (target / test["job"]).is_file():
        return f"{Path(test['job']).name}: no such file in the v1.2 suite"
    needed = sorted(documents.closure(_name(test).partition("#")[0]))
    for look in (documents.write, documents.check_should_fail if test.get("should_fail") else documents.check):
        for document in needed:
            problem = look(document)
            if problem:
                return f"{document}: {problem}"
    return ""


def _add_other_suffixes(folder: Path) -> None:
    """A list may name `x.json` what is now `x.yaml`: YAML holds both."""
    for path in [*folder.glob("*.yaml"), *folder.glob("*.yml")]:
        other = path.with_suffix(".json")
        if not other.exists():
            shutil.copyfile(path, other)


class Documents:
    """The CWL documents of a suite in another version, each written and checked once, when a test asks for it."""

    def __init__(self, source: Path, target: Path, version: str) -> None:
        self.source, self.target, self.version = source, target, version
        self._written: dict[str, str] = {}
        self._valid: dict[Path, str] = {}

    def closure(self, name: str) -> set[str]:
        """The document and all that it runs or imports; names are relative to the suite's folder of documents."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            if name.endswith(".cwl") and (self.source / name).is_file():
                here = Path(name).parent
                for reference in _references(_load(self.source / name)):
                    waiting.append(os.path.normpath(here / reference))
        return found

    def write(self, name: str) -> str:
        """Writes the document in the version; says why it cannot be."""
        if name not in self._written:
            self._written[name] = self._write(name)
        return self._written[name]

    def check(self, name: str) -> str:
        """Says what the schema finds wrong, once all that the document refers to is written."""
        return self._fault(self.target / name) if name.endswith(".cwl") else ""

    def check_should_fail(self, name: str) -> str:
        """A document that v1.2 has invalid too is meant to be."""
        fault = self.check(name)
        return "" if fault and self._fault(self.source / name) else fault

    def _write(self, name: str) -> str:
        if (self.version, name) in DIFFERENT:
            return DIFFERENT[self.version, name]
        source, target = self.source / name, self.target / name
        if not source.is_file():
            return "no such file in the v1.2 suite"
        if not name.endswith(".cwl"):
            return ""
        document, original = _load(source), _load(source)
        try:
            convert(document, self.version)
        except Unconvertible as error:
            return str(error)
        text = source.read_text("utf-8")
        same = _without_version(document) == _without_version(original)
        pattern = rf"""(["']?cwlVersion["']?:\s*["']?){re.escape(FROM)}\b"""
        text = re.sub(pattern, rf"\g<1>{self.version}", text) if same else json.dumps(document, indent=1)
        for new, old in OLDER_TEXTS.get(name, ()) if self.version < FROM else ():
            text = text.replace(new, old)
        target.write_text(text, "utf-8")
        return ""

    def _fault(self, path: Path) -> str:
        if path not in self._valid:
            self._valid[path] = _validate(path)
        return self._valid[path]


def _load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text("utf-8"))


def _without_version(document: Any) -> Any:
    return {**document, "cwlVersion": ""} if isinstance(document, dict) else document


def _references(node: Any, key: str = "") -> Iterator[str]:
    """Files named by run, $import, $include and $mixin, wherever they stand."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _references(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
    elif key in {"run", "$import", "$include", "$mixin"} and isinstance(node, str):
        name = node.partition("#")[0]
        if name and ":" not in name:
            yield name


def _validate(path: Path) -> str:
    """The first fault that the schema of the document's own version finds."""
    from cwltool.context import LoadingContext
    from cwltool.load_tool import fetch_document, resolve_and_validate_document
    from schema_salad.exceptions import SchemaSaladException

    logging.getLogger("cwltool").setLevel(logging.CRITICAL)
    logging.getLogger("salad").setLevel(logging.CRITICAL)
    context = LoadingContext({"do_update": False, "skip_schemas": True})
    try:
        context, node, uri = fetch_document(str(path), context)
        resolve_and_validate_document(context, node, uri)
    except SchemaSaladException as error:
        leaves = [str(leaf.message).strip().splitlines()[0] for leaf in error.leaves() or [error]]
        return f"not valid in that version: {leaves[0]}".replace(f"{path.parent}/", "")
    return ""


def main(arguments: list[str]) -> None:
    """Writes a suite and prints what is left out."""
    source, version, target = arguments
    derived = derive(Path(source), version, Path(target))
    for name, reason in derived.left_out.items():
        print(f"{name}: {reason}")
    print(derived.summary())


if __name__ == "__main__":
    main(sys.argv[1:])
