"""Options of all commands that read a document without running it."""

from collections.abc import Callable
from typing import Any

import click

from cwlbalsam.service.options import RunOptions

OPTIONS = [
    click.option("--enable-dev", is_flag=True, help="Accept development versions of CWL."),
    click.option("--strict/--non-strict", default=True, help="Whether unknown fields are errors. [strict]"),
    click.option("--skip-schemas", is_flag=True, help="Do not read $schemas."),
]


def document_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as keywords for `RunOptions`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_options(given: dict[str, Any]) -> RunOptions:
    """RunOptions from these options."""
    return RunOptions(**given)
