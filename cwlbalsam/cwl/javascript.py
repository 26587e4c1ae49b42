"""JavaScript in a sandbox: a fresh QuickJS runtime for each evaluation, with limits on time, memory and stack.

Nothing crosses the border but JSON, and nothing outlives an evaluation.

Limits. CPU time is checked by QuickJS itself, in bytecode and in regular expressions. It is not checked within some
native loops (`new Array(1e9).join("x")`), and no Python code, a signal handler included, can run before they return.
It looks at a loop once in 10,000 calls only, which takes long if the calls are slow. There the kernel is the last
resort: ITIMER_PROF, which ends the *process* by SIGPROF after half as much CPU time again.
JavaScript cannot block here (no timers, no modules, no I/O, `Atomics.wait` is refused), so CPU time is all it can use
up, and a machine under load kills nobody.
"""

import importlib
import json
import re
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from cwlbalsam.cwl.records import Js
from cwlbalsam.cwl.values import decode_json

# Taken before expressionLib runs, which may replace any global. `stringify` writes NaN and functions as null, so only
# a text with "null" in it has to be looked at again, value by value.
PRELUDE = """(function (stringify, compile, Failure) {
  function refuse(key, value) {
    var what = typeof value === "number" && value - value !== 0 ? String(value)
      : typeof value === "function" || typeof value === "symbol" ? "a " + typeof value : "";
    if (what) throw new Failure("the result" + (key === "" ? "" : " has a field '" + key + "' that") + " is " + what +
      ", which JSON cannot hold");
    return value; }
  function ignore() {}
  globalThis.console = { log: ignore, info: ignore, warn: ignore, error: ignore, debug: ignore };
  return function (code, names) {
    if (names) { for (var name in names) globalThis[name] = names[name]; return; }
    var value;
    try { value = compile(code)(); } catch (error) {
      if (error === null || error instanceof Failure) throw error;  // null: no memory for an Error
      throw new Failure("threw " + (typeof error === "string" ? error : stringify(error))); }
    var text = stringify(value);
    if (text === undefined) { refuse("", value); return "null"; }
    if (text.includes("null")) stringify(value, refuse);
    return text; }; })(JSON.stringify, Function, Error)"""
CHECK = "(function (code) { Function(code); })"
FIRST_LINE = PRELUDE.count("\n") + 3  # of foreign code; lines above are ours
HEADER_LINES = 2  # that `Function` puts before a body

NAMES = ("inputs", "self", "runtime")
# Ways to read a global without writing its name.
REFLECTION = re.compile(r"[\\[]|globalThis|Reflect|\bthis\b|eval|Function|constructor")
NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]", re.DOTALL)  # msgpack float64 whose exponent is all ones
POSITION = re.compile(r"<input>:(\d+):\d+")


def _names_in(code: str) -> frozenset[str]:
    """The globals that the code can read: serializing a big `inputs` for nothing costs most of an evaluation."""
    return frozenset(NAMES if REFLECTION.search(code) else (name for name in NAMES if name in code))


class JavaScriptError(Exception):
    """line: 1 is the first; 0: not known. fragment: which of expressionLib, None: the expression."""

    def __init__(self, message: str, line: int = 0, fragment: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.fragment = fragment


class Library:
    """expressionLib made ready: fragments are moved down, so that a line number tells which one it lies in."""

    def __init__(self, fragments: Sequence[str] = ()) -> None:
        self.sources: list[str] = []
        self.starts: list[int] = []
        self.end = FIRST_LINE
        for fragment in fragments:
            self.starts.append(self.end)
            self.sources.append("\n" * (self.end - 1) + f'"use strict";{fragment}\n;undefined')
            self.end += fragment.count("\n") + 1
        self.names = _names_in("\n".join(fragments))

    def locate(self, line: int) -> tuple[int, int | None]:
        """Line and fragment of a line that QuickJS reports; (0, None) if it is none of a document's."""
        if line >= self.end + HEADER_LINES:
            return line - self.end - HEADER_LINES + 1, None
        for index in reversed(range(len(self.starts))):
            if line >= self.starts[index]:
                return line - self.starts[index] + 1, index
        return 0, None


def run_javascript(part: Js, library: Library, values: Mapping[str, Any], seconds: float, megabytes: int) -> Any:
    """Value of an expression or a function body, with `values` (by name: inputs, self, runtime) as globals.

    Raises JavaScriptError. Ends the process if the code cannot be interrupted: see above.
    """
    source = _function_source(part.code, part.body, library.end)
    wanted = library.names | _names_in(part.code)
    text, exact = _encode({name: value for name, value in values.items() if name in wanted})
    deadline = time.process_time() + seconds
    signal.setitimer(signal.ITIMER_PROF, seconds * 1.5 + 1)
    try:
        context = _new_context(seconds, megabytes)
        call = context.eval(PRELUDE)
        call(None, context.parse_json(text) if exact else context.eval(f"({text})"))
        for fragment in library.sources:
            context.eval(fragment)
            # QuickJS counts from the start of each call.
            context.set_time_limit(max(deadline - time.process_time(), 0.001))
        return _decode(call(source))
    except Exception as error:
        raise _explain(error, library, seconds, megabytes) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@lru_cache(maxsize=256)
def find_syntax_error(code: str, body: bool | None) -> JavaScriptError | None:
    """Compile without running. body: None for a fragment of expressionLib."""
    library = Library()
    try:
        source = _function_source(code, body is not False, library.end)
        context = _new_context(10, 256)
        context.eval(CHECK)(source)
    except Exception as error:
        return _explain(error, library, 10, 256)
    return None


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The extension itself: the package `quickjs` around it starts a thread when it is imported."""
    try:
        return importlib.import_module("_quickjs")
    except ImportError:
        raise JavaScriptError("JavaScript needs the Python package quickjs-ng, which is not installed") from None


@lru_cache(maxsize=1)
def _stack_bytes() -> int:
    """Half the stack that the system grants, so that QuickJS notices deep recursion before the system does."""
    granted = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return (1 << 20) if granted == resource.RLIM_INFINITY else min(max(granted // 2, 1 << 17), 16 << 20)


def _new_context(seconds: float, megabytes: int) -> Any:
    context = _engine().Context()
    context.set_time_limit(seconds)
    context.set_memory_limit(megabytes << 20)
    context.set_max_stack_size(_stack_bytes())
    return context


def _function_source(code: str, body: bool, first_line: int) -> str:
    """Body for `Function`, moved down to first_line + HEADER_LINES."""
    try:
        code.encode()
    except UnicodeEncodeError:
        raise JavaScriptError("the code is not valid Unicode text") from None
    # The line break ends a `//` comment.
    inner = code if body else f"return ({code}\n)"
    return "\n" * (first_line - 1) + f'"use strict";{inner}'


def _encode(values: dict[str, Any]) -> tuple[str, bool]:
    """JSON and True, or, if there are NaN or Infinity, a JavaScript literal and False."""
    try:
        text = msgspec.json.encode(values)
        # msgspec writes NaN as null.
        if b"null" not in text or not NOT_FINITE.search(msgspec.msgpack.encode(values)):
            return text.decode(), True
    except OverflowError:
        pass  # an integer of more than 64 bits
    except (UnicodeError, RecursionError) as error:
        raise JavaScriptError(f"an input cannot be passed to JavaScript: {error}") from None
    return json.dumps(values), False


def _decode(text: str) -> Any:
    """Integers beyond 64 bits (`1e20` is written with all its digits) become floats, as no message could hold them."""
    try:
        return decode_json(text)
    except (msgspec.DecodeError, RecursionError):
        raise JavaScriptError("the result is nested too deeply or holds a broken character") from None


def _explain(error: Exception, library: Library, seconds: float, megabytes: int) -> JavaScriptError:
    if isinstance(error, JavaScriptError):
        return error
    message, _, trace = str(error).partition("\n")
    places = (library.locate(int(match[1])) for match in POSITION.finditer(f"{message}\n{trace}"))
    line, fragment = next((place for place in places if place[0]), (0, None))
    if message == "InternalError: interrupted":
        message = f"took more than {seconds:g} s of CPU time"
    elif message in ("InternalError: out of memory", "null"):
        message = f"needs more than {megabytes} MiB of memory" + (", or threw null" if message == "null" else "")
    elif isinstance(error, _engine().StackOverflow):
        message = f"{message}: the recursion is too deep for a stack of {_stack_bytes() >> 10} KiB"
    elif not isinstance(error, _engine().JSException):
        message = f"{type(error).__name__}: {message}"
    return JavaScriptError(message.removeprefix("Error: "), line, fragment)
