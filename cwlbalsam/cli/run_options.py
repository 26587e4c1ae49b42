"""The options of `run`, with cwltool's spellings where its users know them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cwlbalsam.cli.tables import Folder, Number, Span
from cwlbalsam.service.options import NO_ENGINE, RunOptions

ACTIONS = ("validate", "print_dot", "pack", "make_template", "print_deps", "print_input_deps", "tool_help")

# Accepted because scripts pass them; they change nothing here.
HARMLESS_FLAGS = [
    "--parallel",
    "--enable-ext",
    "--verbose",
    "--rm-tmpdir",
    "--compute-checksum",
    "--enable-pull",
    "--rm-container",
    "--leave-container",
    "--enable-color",
    "--disable-color",
    "--doc-cache",
    "--no-doc-cache",
    "--disable-js-validation",
    "--js-console",
    "--fast-parser",
    "--disable-validate",
    "--record-container-id",
    "--no-match-user",
    "--strict-memory-limit",
    "--strict-cpu-limit",
    "--no-read-only",
    "--enable-ga4gh-tool-registry",
    "--disable-ga4gh-tool-registry",
    "--beta-conda-dependencies",
    "--beta-use-biocontainers",
    "--enable-user-provenance",
    "--disable-user-provenance",
    "--enable-host-provenance",
    "--disable-host-provenance",
]
HARMLESS_VALUES = [
    "--tmp-outdir-prefix",
    "--cidfile-dir",
    "--cidfile-prefix",
    "--js-hint-options-file",
    "--add-ga4gh-tool-registry",
    "--rdf-serializer",
    "--beta-dependency-resolvers-configuration",
    "--beta-dependencies-directory",
    "--orcid",
    "--full-name",
]
UNSUPPORTED_FLAGS = ["--print-rdf", "--print-pre", "--print-subgraph", "--print-targets"]
UNSUPPORTED_VALUES = ["--provenance", "--custom-net", "--singularity-sandbox-path"]


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, **settings)


def _flag(*names: str, help: str = "", **settings: Any) -> click.Option:
    return click.Option(names, is_flag=True, help=help, **settings)


def _engine(name: str, value: str, help: str) -> click.Option:
    return click.Option([name, "engine"], flag_value=value, type=str, help=help)


def _refuse(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value:
        click.echo(f"cwlbalsam: {option.opts[0]} is not supported", err=True)
        context.exit(33)


def _split(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name for name in value.split(",") if name)


MOVE_OUTPUTS = "Move outputs to DIR; input files that are among them are linked there. (the default)"
FILES = [
    _option("--outdir", default=".", type=Folder(), metavar="DIR", help="Where outputs go. [default: here]"),
    _option("--basedir", default="", metavar="DIR", help="What paths in arguments are relative to."),
    _option("--tmpdir-prefix", default="", metavar="PREFIX", help="First part of the paths of temporary directories."),
    _option("--log-dir", default="", metavar="DIR", help="Keep what the jobs print in files here."),
    _flag("--reuse", help="Take over results of earlier jobs that were the same, and keep those of new ones."),
    _option("--cachedir", default="", metavar="DIR", help="The same, with results kept in DIR."),
    _option("--home", default="", metavar="DIR", help="Where runs are kept. [default: $CWLBALSAM_HOME, ~/.cwlbalsam]"),
    _flag("--keep", "--leave-tmpdir", "keep", help="Leave the jobs' directories after the run."),
    _option("--move-outputs", "outputs", flag_value="move", default="move", help=MOVE_OUTPUTS),
    _option("--copy-outputs", "outputs", flag_value="copy", help="Copy all outputs to DIR."),
    _option("--leave-outputs", "outputs", flag_value="leave", help="Leave outputs where the jobs made them."),
    _option("-w", "--write-summary", default="", metavar="FILE", help="Write the output object here, not to stdout."),
]
LIMITS = [
    _option(
        "--site",
        "site_rules",
        multiple=True,
        metavar="[STEP=]NAME",
        help="Where tools run (`cwlbalsam site ls`), all or those of a step. Repeatable. [default: here]",
    ),
    _option("--sites-file", "--sites", "sites", multiple=True, metavar="FILE", help="A further file with sites."),
    _option(
        "--plan",
        default="",
        metavar="NAME[,NAME...]",
        callback=_split,
        help="Plan which of these sites each job goes to, and follow the plan (`cwlbalsam plan`). `local` is here.",
    ),
    _option("--max-node-hours", type=Number(min=0), default=math.inf, metavar="N", help="What a plan may spend."),
    _option(
        "--min-efficiency",
        type=Number(0, 1),
        default=0.0,
        metavar="F",
        help="Least parallel efficiency in a plan.",
    ),
    _option("--deadline", type=Span(), default=math.inf, help="When a plan must have ended, from now: 90m, 2h."),
    _option("--workers", type=click.IntRange(0), default=0, metavar="N", help="Number of worker processes."),
    _option("--cores", type=Number(0), default=0.0, metavar="N", help="Cores to use at most."),
    _option("--ram", type=Number(0), default=0.0, metavar="MIB", help="Memory to use at most."),
    _option("--parallel-max", type=click.IntRange(0), default=0, metavar="N", help="Jobs at once at most."),
    _option("--on-error", type=click.Choice(["stop", "continue"]), default="stop", help="After a failed step. [stop]"),
    _option(
        "--retries", type=click.IntRange(0), default=0, metavar="N", help="Attempts of a job beyond its first. [0]"
    ),
    _option(
        "--retry-memory-factor",
        type=Number(1),
        default=1.0,
        metavar="F",
        help="For the RAM of an attempt after one that was killed, as for lack of memory. [1]",
    ),
    _option(
        "--retry-time-factor",
        type=Number(1),
        default=1.0,
        metavar="F",
        help="For the time limit of an attempt after one that reached it. [1]",
    ),
    _option("--eval-timeout", type=float, default=60.0, metavar="SECONDS", help="Time an expression may take. [60]"),
]
CONTAINERS = [
    _engine("--docker", "docker", "Use Docker."),
    _engine("--podman", "podman", "Use Podman."),
    _engine("--singularity", "singularity", "Use Singularity or Apptainer."),
    _engine("--udocker", "udocker", "Use udocker."),
    _engine("--no-container", NO_ENGINE, "Use no container, even where one is recommended."),
    _option("--user-space-docker-cmd", "engine_command", default="", metavar="CMD", help="Path of udocker."),
    _option("--default-container", default="", metavar="IMAGE", help="For tools that name none."),
    _option("--force-docker-pull", "pull", flag_value="always", help="Pull images even if they are here."),
    _option("--disable-pull", "pull", flag_value="never", help="Never pull images."),
]
DOCUMENTS = [
    _option("--overrides", default="", metavar="FILE", help="Requirements that override the document's."),
    _option("--mpi-config-file", default="", metavar="FILE", help="How MPI tools are started, as for cwltool."),
    _flag("--enable-dev", help="Accept development versions of CWL (v1.3 loops)."),
    _flag("--strict/--non-strict", default=True, help="Whether unknown fields are errors. [strict]"),
    _flag("--skip-schemas", help="Do not read $schemas."),
    _flag("--relax-path-checks", help="Accept any character in file names."),
    _option(
        "-t", "--target", "targets", multiple=True, metavar="NAME", help="Run only what this output or step needs."
    ),
    _option("--single-step", default="", metavar="STEP", help="Run one step alone."),
    _option("--single-process", default="", metavar="STEP", help="Run one step's process, without the step."),
    _flag("--no-compute-checksum", help="Leave out checksums of outputs."),
    _option("--preserve-environment", "environment", multiple=True, metavar="NAME", help="Pass this variable to jobs."),
    _flag("--preserve-entire-environment", "entire_environment", help="Pass all variables to jobs."),
]
MESSAGES = [
    _flag("--debug", help="Say more."),
    _flag("--quiet", help="Print only warnings and errors."),
    _flag("--no-warnings", help="Print only errors."),
    _flag("--timestamps", help="Put the time before each message."),
]
INSTEAD = [
    _flag("--validate", help="Only check the document (and the inputs)."),
    _flag("--print-dot", help="Print the workflow as a graph in DOT."),
    _flag("--pack", help="Print the document packed into one."),
    _flag("--make-template", help="Print a job file to fill in."),
    _flag("--print-deps", help="Print the files that the document needs."),
    _flag("--print-input-deps", help="Print the files that the inputs name."),
    _option("--relative-deps", type=click.Choice(["primary", "cwd"]), default="primary", help="For --print-deps."),
    _flag("--tool-help", help="List the document's inputs (so does --help after the document)."),
]
IGNORED = [
    *(_flag(name, expose_value=False, hidden=True) for name in HARMLESS_FLAGS),
    *(_option(name, expose_value=False, hidden=True, multiple=True) for name in HARMLESS_VALUES),
    *(_flag(name, expose_value=False, hidden=True, callback=_refuse) for name in UNSUPPORTED_FLAGS),
    *(_option(name, expose_value=False, hidden=True, callback=_refuse) for name in UNSUPPORTED_VALUES),
]
ALL = [*FILES, *LIMITS, *CONTAINERS, *DOCUMENTS, *MESSAGES, *INSTEAD, *IGNORED]


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command all options of `run`; its function gets them as keywords."""
    command.__click_params__ = [*reversed(ALL), *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return command


def make_options(given: dict[str, Any]) -> RunOptions:
    """RunOptions from what click read. Raises click.UsageError for what only a plan can keep to, without a plan."""
    for name, nothing in (("max_node_hours", math.inf), ("min_efficiency", 0.0), ("deadline", math.inf)):
        if given[name] != nothing and not given["plan"]:
            raise click.UsageError(f"--{name.replace('_', '-')} is for a plan: give --plan NAME[,NAME...] as well")
    settings = {name: given[name] for name in RunOptions.__struct_fields__ if given.get(name) is not None}
    engine = given["engine"] or ("udocker" if given["engine_command"] else None)
    return RunOptions(
        **settings
        | ({"engine": engine} if engine else {})
        | site_options(given["site_rules"])
        | {
            "directory": str(Path.cwd()),
            "compute_checksum": not given["no_compute_checksum"],
            "warnings": not given["no_warnings"],
        }
    )


def site_options(rules: Sequence[str]) -> dict[str, Any]:
    """`--site` as RunOptions have it: NAME for all steps, STEP=NAME for some."""
    names = [rule for rule in rules if "=" not in rule]
    if len(names) > 1:
        raise click.UsageError(f"--site {names[0]} and --site {names[1]} exclude each other; STEP=NAME is for a step")
    return {"site": "".join(names), "step_sites": tuple(rule for rule in rules if "=" in rule)}


def chosen_action(given: dict[str, Any]) -> str:
    """What is to be done instead of a run, or the empty string. Raises click.UsageError if there are several."""
    chosen = [name for name in ACTIONS if given[name]]
    if len(chosen) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise click.UsageError(f"{names} exclude each other")
    return chosen[0] if chosen else ""
