"""`cwlbalsam graph`: draw a workflow."""

from pathlib import Path
from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.errors import UserError
from cwlbalsam.service.documents import compile_program
from cwlbalsam.service.graph import render

FORMS = {".dot": "dot", ".gv": "dot", ".svg": "svg"}


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
    form = form or _form_of(output)
    print_text(render(compile_program(document, read_options(given)), form), output)


def _form_of(output: str) -> str:
    """By the name of the file that is written. Raises UserError for a form that only Graphviz makes."""
    suffix = Path(output).suffix.lower()
    if suffix not in {"", *FORMS}:
        kind = suffix[1:]
        hint = f"use {', '.join(FORMS)}, say --format, or have Graphviz make it: "
        raise UserError(
            f"no {suffix} file can be drawn", hint=f"{hint}cwlbalsam graph DOCUMENT | dot -T{kind} > {output}"
        )
    return FORMS.get(suffix, "dot")
