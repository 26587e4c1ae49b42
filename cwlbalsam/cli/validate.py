"""`cwlbalsam validate`: is a document valid CWL?"""

from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_text
from cwlbalsam.cli.tables import plain_lines
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.documents import Finding, check_document, report_findings
from cwlbalsam.service.inputs import InputSource, is_job_file


@click.command("validate")
@click.argument("documents", nargs=-1, required=True)
@click.option("--inputs", default="", metavar="FILE", help="Check this job file, too.")
@click.option("--json", "as_json", is_flag=True, help="Print all problems as JSON.")
@document_options
def command(documents: tuple[str, ...], inputs: str, as_json: bool, **given: Any) -> None:
    """Check DOCUMENTS and all that they refer to. Every mistake is told, with its place.

    \b
    cwlbalsam validate workflow.cwl
    cwlbalsam validate workflow.cwl inputs.yml
    cwlbalsam validate --inputs inputs.yml workflow.cwl
    cwlbalsam validate --json tools/*.cwl
    """
    first, *others = documents
    if len(others) == 1 and not inputs and is_job_file(others[0]):
        documents, inputs = (first,), others[0]
    options, source = read_options(given), InputSource(file=inputs)
    findings = [check_document(document, options, source) for document in documents]
    if as_json:
        print_text(report_findings(findings))
    else:
        for finding in findings:
            print_finding(finding)
    click.get_current_context().exit(EXIT_FAILED if any(finding.problems for finding in findings) else 0)


def print_finding(finding: Finding) -> None:
    """Mistakes and warnings on stderr, `X is valid CWL.` on stdout."""
    for warning in finding.warnings:
        click.echo(f"warning: {plain_lines(str(warning))}", err=True)
    for problem in finding.problems:
        click.echo(plain_lines(str(problem)), err=True)
    if not finding.problems:
        print_text(f"{finding.document} is valid CWL.")
