"""`cwlbalsam pack`: one document out of many."""

from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.service.documents import pack_document


@click.command("pack")
@click.argument("document")
@click.option("-o", "--output", default="", metavar="FILE", help="Write here, not to stdout.")
@document_options
def command(document: str, output: str, **given: Any) -> None:
    """Put DOCUMENT and all that it refers to into one JSON document.

    \b
    cwlbalsam pack workflow.cwl -o packed.cwl
    cwlbalsam run packed.cwl inputs.yml
    """
    print_text(pack_document(document, read_options(given)), output)
