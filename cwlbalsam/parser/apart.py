"""Compiling in a process of its own.

The front end is large (100 MB with cwltool and rdflib) and needed for a second. A child has it, so that the coordinator
and the workers forked from it stay small: what a command's peak memory is measured from, and what a fork costs.
"""

import os
import signal
import sys
import traceback

import msgspec
from msgspec import Struct

from cwlbalsam.errors import DocumentError, Problem, UnsupportedError, UserError
from cwlbalsam.parser.options import CompileOptions

FRONT_END = "cwlbalsam.parser.frontend"


class Good(Struct, frozen=True, tag="good"):
    """A compiled document. program: msgpack. files: URL -> sha256 of what was read. warnings: as in `Problem`."""

    program: bytes
    files: dict[str, str]
    warnings: tuple[Problem, ...]


class Bad(Struct, frozen=True, tag="bad"):
    """What is wrong with it. exit_code: of the error. bug: a traceback, if the mistake is ours."""

    problems: tuple[Problem, ...] = ()
    exit_code: int = 0
    bug: str = ""


def compile_apart(name: str, options: CompileOptions) -> Good:
    """`compile_document` in a child process; in this one if it has loaded the front end already."""
    if FRONT_END in sys.modules:
        return _compile(name, options)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _answer(writer, name, options)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if not data:
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGINT:
            raise KeyboardInterrupt
        raise UserError(f"compiling {name} ended with {code}", hint="is there enough memory?" if code < 0 else "")
    return _result(msgspec.msgpack.decode(data, type=Good | Bad))


def _compile(name: str, options: CompileOptions) -> Good:
    from cwlbalsam.parser.compile import compile_document

    compiled = compile_document(name, options)
    return Good(msgspec.msgpack.encode(compiled.program), compiled.files, compiled.warnings)


def _answer(writer: int, name: str, options: CompileOptions) -> None:
    """The life of the child."""
    answer: Good | Bad
    try:
        answer = _compile(name, options)
    except UserError as error:
        answer = Bad(error.problems, error.exit_code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        answer = Bad(bug=traceback.format_exc())
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(answer))
    finally:
        os._exit(0)


def _result(answer: Good | Bad) -> Good:
    if isinstance(answer, Good):
        return answer
    if answer.bug:
        raise RuntimeError(f"the compiler broke:\n{answer.bug}")
    if answer.exit_code == UnsupportedError.exit_code:
        problem = answer.problems[0]
        raise UnsupportedError(problem.message, place=problem.place, hint=problem.hint)
    raise DocumentError(answer.problems)
