"""`cwlbalsam run`: run a workflow on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from cwlbalsam.cli.output import print_object, print_outputs, print_text
from cwlbalsam.cli.run_options import chosen_action, make_options, run_options
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.inputs import InputSource, split_arguments, swap_tool
from cwlbalsam.service.options import RunOptions


@click.command("run", context_settings={"allow_interspersed_args": False})
@run_options
@click.argument("document")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[INPUTS] [--NAME VALUE]...")
def command(document: str, arguments: tuple[str, ...], write_summary: str, relative_deps: str, **given: Any) -> None:
    """Run DOCUMENT, a CWL workflow or tool: a path, path#name or address.

    INPUTS is a job file in YAML or JSON (- for standard input); inputs given as arguments come after it and win. The
    output object is printed as JSON on stdout, everything else on stderr.

    \b
    cwlbalsam run workflow.cwl inputs.yml
    cwlbalsam run --outdir results workflow.cwl --reads a.fastq --reads b.fastq --depth 3
    cwlbalsam run workflow.cwl --help        lists the inputs of workflow.cwl

    Exit code 0 if all went well, 1 if not, 33 if the document asks for what is not supported, 130 if interrupted.
    """
    options = make_options(given)
    source = replace(split_arguments(arguments), reserved=_own_options())
    document, source = swap_tool(document, source, base=Path.cwd())
    action = chosen_action(given) or ("tool_help" if _asks_for_help(document, source, options) else "")
    if action:
        code = INSTEAD[action](document, source, options, relative_deps)
    else:
        code = run_and_print(document, source, options, write_summary)
    click.get_current_context().exit(code)


def run_and_print(document: str, source: InputSource, options: RunOptions, summary: str = "") -> int:
    """Runs a document, prints its output object; the exit code."""
    from cwlbalsam.cli.progress import Progress
    from cwlbalsam.service.run import run_document

    with Progress(options) as progress:
        result = run_document(document, source, options, progress)
    if result.packed is not None:
        print_outputs(result.packed, summary)
    return result.exit_code


def _own_options() -> frozenset[str]:
    return frozenset(name for one in command.params for name in (*one.opts, *one.secondary_opts))


def _asks_for_help(document: str, source: InputSource, options: RunOptions) -> bool:
    if not {"--help", "-h"} & set(source.arguments):
        return False
    from cwlbalsam.service.documents import compile_program
    from cwlbalsam.service.input_arguments import wants_help

    program = compile_program(document, options)
    return wants_help(program.processes[program.main].inputs, source.arguments)


def _print_help(document: str, source: InputSource, options: RunOptions, _: str) -> int:
    from cwlbalsam.service.documents import compile_program
    from cwlbalsam.service.input_arguments import describe_inputs

    program = compile_program(document, options)
    print_text(describe_inputs(program.processes[program.main].inputs, document))
    return 0


def _validate(document: str, source: InputSource, options: RunOptions, _: str) -> int:
    from cwlbalsam.cli.validate import print_finding
    from cwlbalsam.service.documents import check_document

    finding = check_document(document, options, source)
    print_finding(finding)
    return EXIT_FAILED if finding.problems else 0


def _print_dot(document: str, source: InputSource, options: RunOptions, _: str) -> int:
    from cwlbalsam.service.documents import compile_program
    from cwlbalsam.service.graph import render

    print_text(render(compile_program(document, options), "dot"))
    return 0


def _pack(document: str, source: InputSource, options: RunOptions, _: str) -> int:
    from cwlbalsam.service.documents import pack_document

    print_text(pack_document(document, options))
    return 0


def _make_template(document: str, source: InputSource, options: RunOptions, _: str) -> int:
    from cwlbalsam.service.documents import compile_program
    from cwlbalsam.service.template import make_template

    program = compile_program(document, options)
    print_text(make_template(program.processes[program.main].inputs))
    return 0


def _print_deps(document: str, source: InputSource, options: RunOptions, relative_to: str) -> int:
    from cwlbalsam.service.documents import document_files

    print_object(document_files(document, relative_to=relative_to))
    return 0


def _print_input_deps(document: str, source: InputSource, options: RunOptions, relative_to: str) -> int:
    from cwlbalsam.service.documents import input_files

    print_object(input_files(source, relative_to=relative_to))
    return 0


INSTEAD: dict[str, Callable[[str, InputSource, RunOptions, str], int]] = {
    "tool_help": _print_help,
    "validate": _validate,
    "print_dot": _print_dot,
    "pack": _pack,
    "make_template": _make_template,
    "print_deps": _print_deps,
    "print_input_deps": _print_input_deps,
}
