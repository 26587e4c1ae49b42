"""`cwlbalsam make-template`: a job file to fill in."""

from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.service import template
from cwlbalsam.service.documents import compile_program


@click.command("make-template")
@click.argument("document")
@document_options
def command(document: str, **given: Any) -> None:
    """Print a job file for DOCUMENT, with each input's type, default and description as comments.

    \b
    cwlbalsam make-template workflow.cwl > inputs.yml
    """
    program = compile_program(document, read_options(given))
    print_text(template.make_template(program.processes[program.main].inputs))
