"""What every entry point does with errors, in one place."""

import errno
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from cwlbalsam import __version__
from cwlbalsam.cli.tables import plain_lines
from cwlbalsam.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from cwlbalsam.service.home import find_home

DISK_TROUBLES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def guarded(body: Callable[[], object], debug: bool = False) -> int:
    """Calls body and returns the exit code: what body returns if that is a number, else 0.

    Errors that the user can mend are printed, one `error:` a mistake. Anything else is a bug: its traceback goes to a
    file, and to stderr if debug is set.
    """
    try:
        result = body()
    except UserError as error:
        show_problems(error)
        if debug:
            traceback.print_exc()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return EXIT_FAILED
    except RecursionError:
        click.echo("error: a value or document is nested too deeply", err=True)
        if debug:
            traceback.print_exc()
        return EXIT_FAILED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLES:
            click.echo(f"error: {error.filename or 'disk'}: {error.strerror}", err=True)
            return EXIT_FAILED
        _report_bug(error, debug)
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def open_closed_streams() -> None:
    """Put /dev/null where a caller has closed stdin, stdout or stderr: else the next file opened would take its number.

    The reader or writer of a closed one is None. For an entry point, before anything is opened.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - for the process's whole life


def show_problems(error: UserError) -> None:
    """One `error:` a problem, on stderr, without what could command a terminal."""
    for problem in error.problems:
        click.echo(f"error: {plain_lines(str(problem))}", err=True)


def _drop_output() -> None:
    """Python would complain when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_bug(error: Exception, debug: bool) -> None:
    text = "".join(traceback.format_exception(error))
    click.echo(f"error: this is a bug in cwlbalsam: {type(error).__name__}: {error}", err=True)
    try:
        where = _write_crash(text)
    except OSError:
        debug = True
    else:
        click.echo(f"    its traceback is in {where}; please report it with the command you used", err=True)
    if debug:
        click.echo(text, err=True)
    else:
        click.echo("    --debug shows it here", err=True)


def _write_crash(text: str) -> Path:
    """Readable by the user alone: a command line may hold secrets."""
    folder = find_home().crash
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    head = f"cwlbalsam {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n{sys.argv}\n\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(head + text)
    return path
