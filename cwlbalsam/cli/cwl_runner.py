"""`cwlbalsam-cwl-runner`: the interface that every CWL runner has, for tools like cwltest.

    cwlbalsam-cwl-runner [--outdir=DIR] [--quiet] DOCUMENT [INPUTS]

Exactly one JSON object on stdout. To make it this machine's `cwl-runner`, link it:
`ln -s "$(command -v cwlbalsam-cwl-runner)" ~/.local/bin/cwl-runner`.
"""

import sys
from collections.abc import Sequence

import click

from cwlbalsam import __version__
from cwlbalsam.cli.guard import guarded, open_closed_streams
from cwlbalsam.cli.run import command as run

NAME = "cwlbalsam-cwl-runner"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, prints, and gives the exit code: 0, 1 (failed), 33 (unsupported), 130 (interrupted), 3 (a bug)."""
    open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        click.echo(f"{NAME} {__version__}")
        return 0
    return guarded(lambda: run.main(words, prog_name=NAME, standalone_mode=False), "--debug" in words)


if __name__ == "__main__":
    sys.exit(main())
