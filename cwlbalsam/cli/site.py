"""`cwlbalsam site`: the places where jobs run."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cwlbalsam.cli.output import print_object, print_text
from cwlbalsam.cli.tables import Number, duration, plain, plain_lines, print_table
from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.service.home import find_home
from cwlbalsam.service.site_files import Seen, add_site, draft, find_sites, look_at, pick_site
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.sitefields import SITE_NAME, json_schema

if TYPE_CHECKING:
    from cwlbalsam.service.site_check import Finding

sites_option = click.option(
    "--sites-file",
    "--sites",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A further site file; its sites count before those of $CWLBALSAM_HOME/sites.yml. Repeatable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("site")
def command() -> None:
    """Describe and look at the places where jobs run.

    Sites stand in $CWLBALSAM_HOME/sites.yml; `local`, this machine, is there without any file.

    \b
    Examples:
      cwlbalsam site init                        describe the machine one sits at
      cwlbalsam site init theta --host theta     describe a machine that ssh reaches
      cwlbalsam site show theta
    """


@command.command("ls")
@sites_option
@json_option
def list_sites(files: tuple[Path, ...], as_json: bool) -> None:
    """List the sites; their machines are not asked."""
    sites = find_sites(find_home(), files)
    if as_json:
        return print_object(list(sites.values()))
    rows = [
        [
            site.name,
            site.host or "-",
            site.scheduler.kind or "-",
            site.scheduler.queue or "-",
            site.work or "-",
            site.file,
        ]
        for site in sites.values()
    ]
    return print_table(["NAME", "HOST", "SCHEDULER", "QUEUE", "WORK", "FILE"], rows)


@command.command("show")
@click.argument("name")
@sites_option
@json_option
def show(name: str, files: tuple[Path, ...], as_json: bool) -> None:
    """Show a site, what was guessed, and its machine's state.

    \b
    Examples:
      cwlbalsam site show cluster
      cwlbalsam site show local --json
    """
    site = pick_site(find_sites(find_home(), files), name)
    seen = look_at(site)
    if as_json:
        return print_object({"site": seen.site, "state": seen.state, "trouble": seen.trouble})
    for label, said, found in _settings(site, seen.site):
        click.echo(f"{label:<14}{plain(found) or '-'}" + ("" if said or not found else "  (found)"))
    return _show_state(seen)


def _settings(told: Site, found: Site) -> list[tuple[str, str, str]]:
    def of(site: Site) -> dict[str, str]:
        pilots = site.pilots
        limits = f", {pilots.nodes} nodes" if pilots.nodes else ""
        limits += f", {duration(pilots.wall_seconds)}" if pilots.wall_seconds else ""
        return {
            "host": site.host,
            "work": site.work,
            "scheduler": site.scheduler.kind,
            "queue": site.scheduler.queue,
            "account": site.scheduler.account,
            "constraint": site.scheduler.constraint,
            "extra": " ".join(site.scheduler.extra),
            "cores": str(site.nodes.cores or ""),
            "memory": f"{site.nodes.memory_megabytes} MiB" if site.nodes.memory_megabytes else "",
            "gpus": str(site.nodes.gpus or ""),
            "mpi": site.mpi.launcher,
            "containers": " ".join(site.containers),
            "transfers": " ".join(site.transfers.ways),
            "pilots": f"{pilots.min} to {pilots.max}{limits}" if site.file else "",
            "modules": " ".join(site.modules),
        }

    said = of(told)
    return [(label, said[label], text) for label, text in of(found).items()]


def _show_state(seen: Seen) -> None:
    if seen.trouble:
        click.echo(f"\nthe scheduler does not answer: {plain(seen.trouble)}", err=True)
    if seen.state is None:
        return
    state = seen.state
    running = sum(job.started > 0 for job in state.jobs)
    click.echo(
        f"\n{state.free} of {state.nodes} nodes are free; {running} batch jobs run, {len(state.jobs) - running} wait"
    )
    rows = [
        [
            queue.name + (" *" if queue.default else ""),
            "open" if queue.open else "closed",
            str(queue.nodes or ""),
            str(queue.max_nodes or ""),
            duration(queue.max_wall_seconds) if queue.max_wall_seconds else "",
        ]
        for queue in state.queues
    ]
    if rows:
        click.echo()
        print_table(["QUEUE", "STATE", "NODES ", "AT MOST ", "WALL "], rows)


@command.command("init")
@click.argument("name", default="")
@click.option("--host", default="", metavar="HOST", help="Where ssh goes; without it, this machine.")
@click.option(
    "-o", "--output", metavar="FILE", help="The site file to add to; -: print it.  [$CWLBALSAM_HOME/sites.yml]"
)
def init(name: str, host: str, output: str | None) -> None:
    """Ask a machine what it has, and add a site to sites.yml.

    What cannot be guessed is written down, to be looked over. NAME is the host's own if it is left out.

    \b
    Examples:
      cwlbalsam site init cluster                       the machine one sits at
      cwlbalsam site init theta --host ada@theta        a machine that ssh reaches
      cwlbalsam site init -o -                          only print it
    """
    if host.startswith("-"):
        raise click.UsageError(f"{host!r} is no host.")
    seen = look_at(Site(name=name or "new", host=host))
    name = name or re.sub(r"[^\w-]+.*", "", host.partition("@")[2] or host or seen.facts.host) or "here"
    if not SITE_NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name for a site: letters, digits, '.', '_' and '-' can stand in it.")
    text = draft(seen, name, host)
    if output == "-":
        return print_text(text)
    path = Path(output) if output else find_home().path / "sites.yml"
    add_site(path, name, text)
    click.echo(f"{path} has the site {name!r} now; look it over", err=True)
    return print_text(text)


@command.command("start")
@click.argument("name")
@sites_option
def start(name: str, files: tuple[Path, ...]) -> None:
    """Start the agent of a site now.

    Runs start it, too; it stays as long as it is needed, or keeps pilots.
    """
    from cwlbalsam.service.agents import agent_pid, reach

    home = find_home()
    site = pick_site(find_sites(home, files), name)
    reach(home, site)
    click.echo(f"the agent of site '{name}' is there (process {agent_pid(home, name)})")


@command.command("stop")
@click.argument("name")
def stop(name: str) -> None:
    """End the agent of a site with its pilots.

    Runs that have jobs there start another one.
    """
    from cwlbalsam.service.agents import stop_agent

    ended = stop_agent(find_home(), name)
    click.echo(f"the agent of site '{name}' has ended" if ended else f"no agent serves site '{name}'")


@command.command("check")
@click.argument("name")
@sites_option
@json_option
@click.option(
    "--wait",
    type=Number(0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a pilot may queue.",
)
def check(name: str, files: tuple[Path, ...], as_json: bool, wait: float) -> None:
    """Try all that a run at site NAME will need.

    It says what to do about each failure; exit code 1 if there is one. A pilot is submitted for a moment, and, if the
    site is another machine, a small file is brought there and back by each protocol.

    \b
    Examples:
      cwlbalsam site check cluster
      cwlbalsam site check cluster --wait 600
    """
    from cwlbalsam.service.site_check import Finding, SiteCheck

    home = find_home()
    site_check = SiteCheck(pick_site(find_sites(home, files), name), home, wait)

    async def tell() -> list[Finding]:
        found = []
        async for finding in site_check.run():
            found.append(finding)
            if not as_json:
                _tell_finding(finding)
        return found

    findings = asyncio.run(tell())
    if as_json:
        print_object(findings)
    click.get_current_context().exit(EXIT_FAILED if any(each.status == "failed" for each in findings) else 0)


def _tell_finding(finding: "Finding") -> None:
    click.echo(f"{finding.status:<8}{finding.name:<24}{plain_lines(finding.told)}".rstrip())
    if finding.advice:
        click.echo(f"{'':32}{plain_lines(finding.advice)}")


@command.command("gc")
@click.argument("name")
@sites_option
@click.option(
    "--days",
    type=Number(0),
    default=30.0,
    show_default=True,
    metavar="N",
    help="Input files that no run has read for so long go, too.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def collect(name: str, files: tuple[Path, ...], days: float, dry_run: bool) -> None:
    """Remove what runs have left at a site and nobody needs.

    That is of runs that finished or were removed. Runs that can be resumed keep what they have, and so do those whose
    outputs were left at the site.

    \b
    Examples:
      cwlbalsam site gc cluster --dry-run
      cwlbalsam site gc cluster --days 7
    """
    from cwlbalsam.service.site_scratch import collect_scratch

    home = find_home()
    gone = collect_scratch(pick_site(find_sites(home, files), name), home, days * 86_400, dry_run)
    verb = "would be removed" if dry_run else "removed"
    for run in gone.runs:
        click.echo(run)
    click.echo(f"{len(gone.runs)} runs and {gone.inputs} input files {verb}", err=True)


@command.command("login")
@click.argument("name")
@sites_option
def login(name: str, files: tuple[Path, ...]) -> None:
    """Log in to Globus for a site.

    Open the page that is named, and give the code that it shows. Globus knows cwlbalsam by the id of a client,
    $CWLBALSAM_GLOBUS_CLIENT_ID; with $CWLBALSAM_GLOBUS_CLIENT_SECRET it is a service, and nobody is asked. The tokens
    stay for later runs, in a file that only you can read.
    """
    from cwlbalsam.service.site_login import log_in_to

    kept = log_in_to(pick_site(find_sites(find_home(), files), name))
    click.echo(f"logged in; tokens are in {kept}", err=True)


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of site files, for editors."""
    print_text(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode())
