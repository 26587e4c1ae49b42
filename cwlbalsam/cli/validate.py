"""`cwlbalsam validate`: is a document valid CWL?"""

import sys
from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.documents import find_problems, report_problems
from cwlbalsam.service.inputs import InputSource


@click.command()
@click.argument("documents", nargs=-1, required=True)
@click.option("--inputs", default="", metavar="FILE", help="Check this job file, too.")
@click.option("--json", "as_json", is_flag=True, help="Print all problems as JSON.")
@document_options
def validate(documents: tuple[str, ...], inputs: str, as_json: bool, **given: Any) -> None:
    """Check DOCUMENTS and all that they refer to. Every mistake is told, with its place.

    \b
    cwlbalsam validate workflow.cwl
    cwlbalsam validate --inputs inputs.yml workflow.cwl
    cwlbalsam validate --json tools/*.cwl
    """
    options, source = read_options(given), InputSource(file=inputs)
    found = [(document, find_problems(document, options, source)) for document in documents]
    if as_json:
        print_text(report_problems(found))
    for document, problems in () if as_json else found:
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            print_text(f"{document} is valid CWL.")
    sys.exit(EXIT_FAILED if any(problems for _, problems in found) else 0)
