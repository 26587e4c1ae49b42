"""Expressions: parameter references, JavaScript, and strings with such in them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cwlbalsam.cwl.javascript import JavaScriptError, Library, find_syntax_error, run_javascript
from cwlbalsam.cwl.records import Expr, Js, Ref, Scope
from cwlbalsam.errors import JobError, Problem, UserError

# Before v1.2 a backslash always took the next character's meaning away; since then only that of `$(`, `${` and `\`.
OLD_ESCAPES = frozenset({"v1.0", "v1.1.0-dev1", "v1.1", "v1.2.0-dev1", "v1.2.0-dev2", "v1.2.0-dev3"})

SEGMENT = r"""\.\w+|\['(?:[^']|\\')+'\]|\["(?:[^"]|\\")+"\]|\[[0-9]{1,15}\]"""
SEGMENTS = re.compile(SEGMENT)
REFERENCE = re.compile(rf"(\w+)((?:{SEGMENT})*)")
SPECIAL = re.compile(r"[$\\]")
ROOTS = ("inputs", "self", "runtime")
CLOSING = {"(": ")", "{": "}"}
QUOTED_LENGTH = 80
JAVASCRIPT_HINT = "to use JavaScript, add to the document:\nrequirements:\n  InlineJavascriptRequirement: {}"


@dataclass(slots=True)
class Context:
    """What an expression sees. Values are plain JSON values."""

    inputs: dict[str, Any]
    self_: Any = None
    runtime: dict[str, Any] = field(default_factory=dict)


# --- compiling -----------------------------------------------------------------------------------------------------


def compile_template(text: str, *, place: str = "", version: str = "v1.2", strip: bool = True) -> str | Expr:
    """Find `$(...)` and `${...}`; a text without any comes back as the string that it stands for.

    strip: drop white space around a text with expressions (everywhere but in a Dirent's entry). Only a text with `$(`
    or `${` in it is looked at: in others, backslashes stand for themselves. Raises UserError.
    """
    if "$(" not in text and "${" not in text:
        return text
    parts = _split(text.strip() if strip else text, version in OLD_ESCAPES, place)
    if all(isinstance(part, str) for part in parts):
        return "".join(map(str, parts))
    return Expr(parts=tuple(parts), text=text, place=place)


def _split(text: str, old_escapes: bool, place: str) -> list[str | Ref | Js]:
    parts: list[str | Ref | Js] = []
    literal = ""
    position = 0
    while special := SPECIAL.search(text, position):
        start = special.start()
        literal += text[position:start]
        following = text[start + 1 : start + 2]
        if special[0] == "$" and following in CLOSING:
            position = _find_end(text, start + 1, place)
            if literal:
                parts.append(literal)
            parts.append(_compile_part(text[start + 1 : position]))
            literal = ""
        elif special[0] == "\\" and following:
            kept, length = _unescape(text[start : start + 3], old_escapes)
            literal += kept
            position = start + length
        else:
            literal += special[0]
            position = start + 1
    literal += text[position:]
    return [*parts, literal] if literal else parts


def _unescape(text: str, old_escapes: bool) -> tuple[str, int]:
    """What a backslash and the next characters stand for, and how many of them are used up. text: at least two."""
    if old_escapes or text[1] == "\\":
        return text[1], 2
    if text in ("\\$(", "\\${"):
        return text[1:], 3
    return text[:2], 2


def _find_end(text: str, start: int, place: str) -> int:
    """Index after the bracket that closes the one at `start`. Brackets in quotes do not count."""
    opening, closing = text[start], CLOSING[text[start]]
    depth, quote, position = 0, "", start
    while position < len(text):
        char = text[position]
        if char == "\\" and quote:
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    lacks = f"a closing {quote}" if quote else f"a closing {closing}"
    hint = "a quote or apostrophe in a comment counts, too" if quote else f"\\${opening} stands for a plain ${opening}"
    raise UserError(f"expression {_quote(text[start - 1 :])} has no end: it lacks {lacks}", place=place, hint=hint)


def _compile_part(text: str) -> Ref | Js:
    """text: an expression with its brackets, without the dollar."""
    code = text[1:-1]
    if text[0] == "{":
        return Js(code=code, body=True)
    if not (match := REFERENCE.fullmatch(code)):
        return Js(code=code)
    segments: list[str] = SEGMENTS.findall(match[2])
    if "".join(segments) != match[2]:
        return Js(code=code)
    return Ref(root=match[1], path=tuple(map(_segment_key, segments)), text=code)


def _segment_key(segment: str) -> str | int:
    if segment[0] == ".":
        return segment[1:]
    if segment[1] in "'\"":
        return segment[2:-2].replace("\\'", "'").replace('\\"', '"')
    return int(segment[1:-1])


def check_syntax(expr: Expr, scope: Scope) -> Problem | None:
    """The first thing wrong with an expression that shows without running it."""
    for part in expr.parts:
        if isinstance(part, Ref) and not scope.javascript and part.root not in ROOTS and part.root != "null":
            return Problem(expr.place, f"expression {_quote(expr.text)}: {_unknown_root(part)}", JAVASCRIPT_HINT)
        if isinstance(part, Js):
            if not scope.javascript:
                return Problem(expr.place, _lacks_javascript(expr), JAVASCRIPT_HINT)
            if error := find_syntax_error(part.code, part.body):
                return _javascript_problem(error, expr, part.code, scope.expression_lib)
    return None


def check_library_syntax(scope: Scope, place: str) -> Problem | None:
    """The first syntax error in expressionLib."""
    for number, fragment in enumerate(scope.expression_lib):
        if error := find_syntax_error(fragment, None):
            return Problem(place, f"expressionLib[{number}]: {error.message}", _quote_line(fragment, error.line))
    return None


# --- evaluating ----------------------------------------------------------------------------------------------------


class Evaluator:
    """Evaluates templates of one process or step. Each evaluation of JavaScript starts from nothing."""

    def __init__(
        self, javascript: bool, expression_lib: tuple[str, ...] = (), seconds: float = 60, megabytes: int = 512
    ) -> None:
        self.javascript = javascript
        self.expression_lib = expression_lib
        self.seconds = seconds
        self.megabytes = megabytes
        self._library: Library | None = None

    def evaluate(self, template: str | Expr, context: Context) -> Any:
        """A string is returned as it is; one expression alone keeps its type. Raises JobError."""
        if isinstance(template, str):
            return template
        if len(template.parts) == 1:
            return self._evaluate_part(template.parts[0], template, context)
        values = (self._evaluate_part(part, template, context) for part in template.parts)
        return "".join(value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values)

    def _evaluate_part(self, part: str | Ref | Js, expr: Expr, context: Context) -> Any:
        if isinstance(part, Ref):
            try:
                return follow_reference(part, context)
            except LookupError as error:
                if not self.javascript:
                    hint = "" if part.root in ROOTS else JAVASCRIPT_HINT
                    raise JobError(
                        f"expression {_quote(expr.text)}: {error.args[0]}", place=expr.place, hint=hint
                    ) from None
            return self._run(Js(code=part.text), expr, context)
        if isinstance(part, Js):
            if not self.javascript:
                raise JobError(_lacks_javascript(expr), place=expr.place, hint=JAVASCRIPT_HINT)
            return self._run(part, expr, context)
        return part

    def _run(self, part: Js, expr: Expr, context: Context) -> Any:
        if self._library is None:
            self._library = Library(self.expression_lib)
        values = {"inputs": context.inputs, "self": context.self_, "runtime": context.runtime}
        try:
            return run_javascript(part, self._library, values, self.seconds, self.megabytes)
        except JavaScriptError as error:
            problem = _javascript_problem(error, expr, part.code, self.expression_lib)
            raise JobError(problem.message, place=problem.place, hint=problem.hint) from None


def follow_reference(ref: Ref, context: Context) -> Any:
    """Value of a parameter reference. Raises LookupError, which says what there is instead."""
    if ref.root == "inputs":
        value: Any = context.inputs
    elif ref.root == "self":
        value = context.self_
    elif ref.root == "runtime":
        value = context.runtime
    elif ref.root == "null" and not ref.path:
        return None
    else:
        raise LookupError(_unknown_root(ref))
    path = ref.path
    for number, key in enumerate(path):
        if key in value if isinstance(value, dict) else _is_index(key, value):
            value = value[key]
        elif isinstance(value, list) and key == "length" and number == len(path) - 1:
            return len(value)
        else:
            raise LookupError(_describe_miss(ref.root, path[:number], key, value))
    return value


def _is_index(key: str | int, value: Any) -> bool:
    return isinstance(value, list) and isinstance(key, int) and key < len(value)


# --- messages ------------------------------------------------------------------------------------------------------


def _describe_miss(root: str, walked: Sequence[str | int], key: str | int, value: Any) -> str:
    where = root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in walked)
    if isinstance(value, dict) and isinstance(key, str):
        names = ", ".join(sorted(map(str, value))[:20]) or "no fields at all"
        return f"{where} has no field {key!r}; it has {names}{', ...' if len(value) > 20 else ''}"
    if isinstance(value, list) and isinstance(key, int):
        return f"{where} has {len(value)} elements, so there is no [{key}]"
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return f"{where} is {kinds.get(type(value), 'a number')}, which has no {key!r}"


def _unknown_root(ref: Ref) -> str:
    return f"there is no {ref.root!r}; parameter references start with inputs, self or runtime"


def _lacks_javascript(expr: Expr) -> str:
    return f"expression {_quote(expr.text)} is JavaScript, but InlineJavascriptRequirement is missing"


def _javascript_problem(error: JavaScriptError, expr: Expr, code: str, lib: Sequence[str]) -> Problem:
    source, name = (code, "") if error.fragment is None else (lib[error.fragment], f"expressionLib[{error.fragment}] ")
    message = f"expression {_quote(expr.text)}: {error.message}"
    return Problem(expr.place, message, name + _quote_line(source, error.line))


def _quote_line(source: str, number: int) -> str:
    lines = source.split("\n")
    return f"line {number}: {lines[number - 1].strip()[:QUOTED_LENGTH]}" if 0 < number <= len(lines) else ""


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED_LENGTH else f"{line[: QUOTED_LENGTH - 3]}..."
