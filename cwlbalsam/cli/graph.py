"""`cwlbalsam graph`: draw a workflow."""

from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.service.documents import compile_program
from cwlbalsam.service.graph import render


@click.command("graph")
@click.argument("document")
@click.option("--format", "form", type=click.Choice(["dot", "svg"]), help="[default: by FILE's name, else dot]")
@click.option("-o", "--output", default="", metavar="FILE", help="Write here, not to stdout.")
@document_options
def command(document: str, form: str | None, output: str, **given: Any) -> None:
    """Draw DOCUMENT: its inputs, steps and outputs, subworkflows opened. In Graphviz's DOT, or as SVG.

    \b
    cwlbalsam graph workflow.cwl | dot -Tpng > workflow.png
    cwlbalsam graph workflow.cwl -o workflow.svg
    """
    form = form or ("svg" if output.endswith(".svg") else "dot")
    print_text(render(compile_program(document, read_options(given)), form), output)
