"""`cwlbalsam`: the group of all commands; each is imported only when it is called."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cwlbalsam import __version__
from cwlbalsam.cli.guard import guarded, open_closed_streams

COMMANDS = {
    "run": ("cwlbalsam.cli.run", "Run a CWL document."),
    "resume": ("cwlbalsam.cli.resume", "Go on with a run that did not end well."),
    "validate": ("cwlbalsam.cli.validate", "Check CWL documents and inputs without running anything."),
    "plan": ("cwlbalsam.cli.plan", "Show where and when the jobs of a workflow would run."),
    "graph": ("cwlbalsam.cli.graph", "Draw a workflow."),
    "pack": ("cwlbalsam.cli.pack", "Write a document and all it refers to as one file."),
    "deps": ("cwlbalsam.cli.deps", "List the files that a document refers to."),
    "make-template": ("cwlbalsam.cli.make_template", "Write an inputs file to fill in."),
    "test": ("cwlbalsam.cli.test", "Run a suite of tests in the format of cwltest."),
    "simulate": ("cwlbalsam.cli.simulate", "Simulate batch machines under load, with a document's jobs."),
    "ls": ("cwlbalsam.cli.ls", "List runs."),
    "show": ("cwlbalsam.cli.show", "Show a run and its steps."),
    "explain": ("cwlbalsam.cli.explain", "Tell why a job waits or failed, and how to try it again."),
    "report": ("cwlbalsam.cli.report", "Write an HTML page about a run."),
    "logs": ("cwlbalsam.cli.logs", "Print what the commands of a run's jobs printed."),
    "models": ("cwlbalsam.cli.models", "Show what was learned of how long jobs take."),
    "qsub": ("cwlbalsam.cli.qsub", "Submit commands and batch scripts."),
    "qstat": ("cwlbalsam.cli.qstat", "List what was submitted."),
    "qdel": ("cwlbalsam.cli.qdel", "End what was submitted."),
    "kill": ("cwlbalsam.cli.kill", "End running runs."),
    "site": ("cwlbalsam.cli.site", "Describe and look at the places where jobs run."),
    "transfers": ("cwlbalsam.cli.transfers", "Show what was brought from site to site."),
    "agent": ("cwlbalsam.cli.agent", "Serve runs of other machines (called over ssh)."),
    "rm": ("cwlbalsam.cli.rm", "Remove runs and their job directories."),
    "store": ("cwlbalsam.cli.store", "Move, copy and look at where runs are kept."),
}
"""name -> (module with the attribute `command`, short help)"""


class LazyGroup(click.Group):
    """A group that knows its commands' names and short helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib  # only mistakes need it

            close = difflib.get_close_matches(name, COMMANDS, n=2)
            hint = " Did you mean '{}'?".format("' or '".join(close)) if close else ""
            if not close and name.endswith((".cwl", ".yml", ".yaml", ".json")):
                hint = f" Did you mean 'cwlbalsam run {name}'?"
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cwlbalsam", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Compile CWL workflows into DAGs of jobs and run them.

    \b
    Examples:
      cwlbalsam run workflow.cwl inputs.yml
      cwlbalsam ls
      cwlbalsam show 0199e6a2

    Runs are named by the first characters of their id. All that is kept is in $CWLBALSAM_HOME (~/.cwlbalsam).
    """


def run_cli(arguments: Sequence[str]) -> int:
    """The exit code of `cwlbalsam` with these arguments."""
    return guarded(
        lambda: cli.main(list(arguments), prog_name="cwlbalsam", standalone_mode=False), "--debug" in arguments
    )


def main() -> NoReturn:
    """The entry point. Nothing is left to do after a command but to take a large process apart: that is left out."""
    open_closed_streams()
    code = run_cli(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # tells of it as Python does
    os._exit(code)
