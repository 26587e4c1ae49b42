"""`cwlbalsam resume`: go on with a run that did not end well."""

from pathlib import Path
from typing import Any

import click

from cwlbalsam.cli.output import print_outputs
from cwlbalsam.cli.tables import Folder, Number
from cwlbalsam.service.home import find_home


@click.command(name="resume")
@click.argument("run")
@click.option("--document", default="", metavar="FILE", help="Go on with this edited document.")
@click.option("--cores", type=Number(0), metavar="N", help="Cores to use at most.")
@click.option("--ram", type=Number(0), metavar="MIB", help="Memory to use at most.")
@click.option("--retries", type=click.IntRange(0), metavar="N", help="Attempts of a job beyond its first.")
@click.option("--on-error", type=click.Choice(["stop", "continue"]), help="After a failed step.")
@click.option("--outdir", type=Folder(), metavar="DIR", help="Where outputs go.")
@click.option("--quiet", is_flag=True, help="Only tell of failures.")
def command(run: str, document: str, quiet: bool, **given: Any) -> None:
    """Go on with RUN, which was interrupted, failed or lost its coordinator.

    Jobs that had finished stay finished; the others run again. RUN is an id or its first characters, as `cwlbalsam ls`
    shows it. With an edited document only what the edit touches runs again.

    \b
    cwlbalsam resume 01a209b3
    cwlbalsam resume 01a209b3 --document mended.cwl --cores 8
    """
    from cwlbalsam.cli.progress import Progress
    from cwlbalsam.service.options import RunOptions
    from cwlbalsam.service.run import resume_run

    changes = {name: value for name, value in given.items() if value is not None}
    if "outdir" in changes:
        changes["outdir"] = str(Path(changes["outdir"]).absolute())
    with Progress(RunOptions(quiet=quiet)) as progress:
        result = resume_run(run, find_home(), changes, document, progress)
    print_outputs(result.packed)
    click.get_current_context().exit(result.exit_code)
