"""Site files: all mistakes at once, each with its line and column."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwlbalsam.errors import DocumentError, Problem, UserError, did_you_mean
from cwlbalsam.sites.site import LOCAL, PilotSettings, Site
from cwlbalsam.sites.sitefields import SITE, SITE_NAME, WORD, Field, size_megabytes, span_seconds

if TYPE_CHECKING:  # slow, and needed only where there is a file
    from ruamel.yaml.nodes import Node

SECRETS = frozenset(["password", "passwd", "passphrase", "token", "secret", "credential", "credentials", "private_key"])
HOW = {
    "size": "a size such as 192 GiB",
    "time": "a time such as 2h, 90m or 02:00:00",
    "count": "a whole number, 0 or more",
    "text": "a text",
    "word": "one word",
    "list": "a text or a list of texts",
    "lines": "a text or a list of texts",
    "section": "a mapping of settings",
}


def load_sites(paths: Iterable[Path]) -> dict[str, Site]:
    """The sites of all files, a later one's instead of an earlier one's of that name; and `local`.

    Raises DocumentError with all mistakes of all files, UserError for a file that cannot be read.
    """
    sites = {LOCAL: Site(name=LOCAL)}
    problems: list[Problem] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot read the site file {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"the site file {path} is not in UTF-8: {error}") from error
        try:
            sites |= read_sites(text, str(path))
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return sites


def read_sites(text: str, name: str) -> dict[str, Site]:
    """The sites of a file's text. Raises DocumentError with all its mistakes."""
    reader = _Reader(name)
    sites = reader.sites(text)
    if reader.problems:
        raise DocumentError(sorted(reader.problems, key=lambda problem: _position(problem.place)))
    return sites


def _position(place: str) -> tuple[int, ...]:
    return tuple(int(part) for part in place.split(":")[-2:] if part.isdecimal())


class _Reader:
    """Collects what is wrong instead of stopping at it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def complain(self, mark: Any, message: str, hint: str = "") -> None:
        place = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
        self.problems.append(Problem(place, message, hint))

    def sites(self, text: str) -> dict[str, Site]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError
        from ruamel.yaml.nodes import MappingNode

        try:
            root = YAML(typ="safe", pure=True).compose(text)
        except MarkedYAMLError as error:
            self.complain(error.problem_mark, f"syntax error: {error.problem or error.context}")
            return {}
        except (YAMLError, ValueError, RecursionError) as error:
            self.complain(None, f"syntax error: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            return {}
        if root is None or _is_null(root):
            return {}
        if not isinstance(root, MappingNode):
            self.complain(root.start_mark, "a site file is a mapping from names of sites to their settings")
            return {}
        found: dict[str, Site] = {}
        for key, value in self.entries(root):
            if not SITE_NAME.fullmatch(key.value):
                hint = "letters, digits, '.', '_' and '-' can stand in it"
                self.complain(key.start_mark, f"{key.value!r} is no name for a site", hint)
            settings = self.section(value, SITE, f"site {key.value!r}")
            found[key.value] = self.site(key, settings, value)
        return found

    def site(self, key: Any, settings: dict[str, Any], node: "Node") -> Site:
        pilots: PilotSettings = settings.get("pilots", PilotSettings())
        if pilots.min > pilots.max:
            where = self.find(node, "pilots") or key
            self.complain(where.start_mark, f"at least {pilots.min} pilots and at most {pilots.max} cannot be kept")
        for name in ("work", "scratch"):
            path = settings.get(name, "")
            if path and not path.startswith(("/", "~/")) and path != "~":
                where = self.find(node, name) or key
                self.complain(where.start_mark, f"'{name}' must be an absolute path: {path!r}", "begin with / or ~/")
        host = settings.get("host", "")
        if host.startswith("-"):  # ssh would take it for an option
            self.complain((self.find(node, "host") or key).start_mark, f"{host!r} is no host")
        return Site(name=key.value, file=self.name, **settings)

    def find(self, node: "Node", name: str) -> Any:
        """The value of a field."""
        return next((value for key, value in node.value if key.value == name), None) if _is_mapping(node) else None

    def entries(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Keys and values of a mapping, of doubled keys the first ones."""
        from ruamel.yaml.nodes import ScalarNode

        seen: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.complain(key.start_mark, "a name is expected here")
            elif key.value in seen:
                first = seen[key.value].start_mark
                self.complain(key.start_mark, f"{key.value!r} is there twice", f"first in line {first.line + 1}")
            else:
                seen[key.value] = key
                yield key, value

    def section(self, node: Any, fields: Mapping[str, Field], what: str) -> dict[str, Any]:
        """What the fields say, by the names of the record's attributes."""
        if _is_null(node):
            return {}
        if not _is_mapping(node):
            self.complain(node.start_mark, f"{what} must be {HOW['section']}")
            return {}
        found: dict[str, Any] = {}
        for key, value in self.entries(node):
            field = fields.get(key.value)
            if field is None:
                self.complain(key.start_mark, f"{what} has no setting {key.value!r}", _way_out(key.value, fields))
            elif not _is_null(value):
                read = self.value(value, field, key.value)
                if read is not None:
                    found[field.attribute or key.value] = read
        return found

    def value(self, node: Any, field: Field, name: str) -> Any:
        """None if it is wrong."""
        match field.kind:
            case "section":
                return self.subsection(node, field, name)
            case "list" | "lines":
                return self.texts(node, field, name)
        text = self.scalar(node, field, name)
        if text is None:
            return None
        try:
            match field.kind:
                case "count":
                    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else int("")
                case "size":
                    return size_megabytes(text)
                case "time":
                    return span_seconds(text)
        except ValueError:
            self.complain(node.start_mark, f"'{name}' must be {HOW[field.kind]}, not {text!r}")
            return None
        return text

    def subsection(self, node: Any, field: Field, name: str) -> Any:
        assert field.record is not None
        if field.short and not _is_mapping(node):
            short = self.value(node, field.section[field.short], name)
            return None if short is None else field.record(**{field.short: short})
        return field.record(**self.section(node, field.section, f"'{name}'"))

    def texts(self, node: Any, field: Field, name: str) -> tuple[str, ...]:
        from ruamel.yaml.nodes import ScalarNode, SequenceNode

        if isinstance(node, ScalarNode) and field.kind == "lines":
            return tuple(node.value.splitlines())
        items = node.value if isinstance(node, SequenceNode) else [node]
        texts = [self.scalar(item, field, name) for item in items]
        return tuple(text for text in texts if text is not None)

    def scalar(self, node: Any, field: Field, name: str) -> str | None:
        """A text that the field may have; None, after a complaint, for anything else."""
        from ruamel.yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            self.complain(node.start_mark, f"'{name}' must be {HOW[field.kind]}")
            return None
        text: str = node.value
        if field.choices and text not in field.choices:
            hint = did_you_mean(text, field.choices, f"there are {', '.join(field.choices)}")
            self.complain(node.start_mark, f"'{name}' cannot be {text!r}", hint)
            return None
        if field.kind == "word" and not re.fullmatch(WORD, text):
            hint = "without spaces, quotes and backslashes"
            self.complain(node.start_mark, f"'{name}' must be {HOW['word']}, not {text!r}", hint)
            return None
        if field.kind in ("text", "list", "word") and re.search(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", text):
            self.complain(node.start_mark, f"'{name}' must be one line, not {text!r}")
            return None
        return text


def _is_mapping(node: Any) -> bool:
    from ruamel.yaml.nodes import MappingNode

    return isinstance(node, MappingNode)


def _is_null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _way_out(name: str, fields: Mapping[str, Field]) -> str:
    if name.lower() in SECRETS:
        return "secrets never stand in a site file: ssh takes them from its agent and ~/.ssh/config"
    inner = next((outer for outer, field in fields.items() if name in field.section), "")
    return did_you_mean(name, fields, f"it belongs under '{inner}'" if inner else f"there are {', '.join(fields)}")
