"""`cwlbalsam-cwl-runner`: the interface that every CWL runner has, for tools like cwltest.

    cwlbalsam-cwl-runner [--outdir=DIR] [--quiet] DOCUMENT [INPUTS]

Exactly one JSON object on stdout. To make it this machine's `cwl-runner`, link it:
`ln -s "$(command -v cwlbalsam-cwl-runner)" ~/.local/bin/cwl-runner`.
"""

import sys
from collections.abc import Sequence

import click

from cwlbalsam import __version__
from cwlbalsam.cli.run import run
from cwlbalsam.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, UserError

NAME = "cwlbalsam-cwl-runner"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, prints, and gives the exit code: 0, 1 (failed), 33 (unsupported), 130 (interrupted), 3 (a bug)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        click.echo(f"{NAME} {__version__}")
        return 0
    try:
        ending = run.main(words, prog_name=NAME, standalone_mode=False)
        return ending if isinstance(ending, int) else 0
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else EXIT_FAILED
    except click.ClickException as error:
        error.show()
        return EXIT_FAILED
    except UserError as error:
        click.echo(f"{NAME}: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Exception:
        import traceback

        traceback.print_exc()
        return EXIT_BUG


if __name__ == "__main__":
    sys.exit(main())
