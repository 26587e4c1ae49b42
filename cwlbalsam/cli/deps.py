"""`cwlbalsam deps`: the files that a document needs."""

import click

from cwlbalsam.cli.output import print_object
from cwlbalsam.service.documents import document_files, input_files
from cwlbalsam.service.inputs import InputSource


@click.command("deps")
@click.argument("document")
@click.argument("inputs", default="")
@click.option("--relative-deps", type=click.Choice(["primary", "cwd"]), default="primary", help="[default: primary]")
def command(document: str, inputs: str, relative_deps: str) -> None:
    """List the files that DOCUMENT refers to, or those that the job file INPUTS names, as a CWL File in JSON.

    Locations are relative to the directory of DOCUMENT (or INPUTS), or to the current one with --relative-deps cwd.

    \b
    cwlbalsam deps workflow.cwl
    cwlbalsam deps workflow.cwl inputs.yml
    """
    if inputs:
        print_object(input_files(InputSource(file=inputs), relative_to=relative_deps))
    else:
        print_object(document_files(document, relative_to=relative_deps))
