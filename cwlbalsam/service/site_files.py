"""The sites of a user: read, completed by asking their machines, and drafted for a new machine."""

import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from cwlbalsam.errors import UserError, did_you_mean
from cwlbalsam.jobs.batch import MachineState, Queue
from cwlbalsam.service.endpoints import login_of
from cwlbalsam.service.home import Home
from cwlbalsam.sites.guess import Facts, guess, parse_probe, probe_command, with_machine
from cwlbalsam.sites.schedulers import SCHEDULERS, ask
from cwlbalsam.sites.schedulers.ask import NO_COMMAND, TOO_LONG, Answer, Run, run_here
from cwlbalsam.sites.site import LOCAL, SchedulerSettings, Site
from cwlbalsam.sites.sitefile import load_sites, read_sites
from cwlbalsam.sites.transfers.ssh import remote_command

PROBE_SECONDS = 60.0
SSH_FAILED = 255
HEAD = "# Sites of cwlbalsam. What is not said is found out; all that can be said: cwlbalsam site schema\n"


class Seen(Struct, frozen=True, kw_only=True):
    """A site as it is now.

    site: with all that could be guessed. state: None without a batch scheduler, or with one that does not answer;
    trouble: its words.
    """

    site: Site
    facts: Facts
    state: MachineState | None = None
    trouble: str = ""


def find_sites(home: Home, files: Iterable[Path]) -> dict[str, Site]:
    """Of `sites.yml` in the home, if there is one, and of these files."""
    own = home.path / "sites.yml"
    return load_sites([*([own] if own.exists() else []), *files])


def pick_site(sites: dict[str, Site], name: str) -> Site:
    """Raises UserError if there is no site of that name."""
    if name not in sites:
        raise UserError(f"there is no site {name!r}", hint=did_you_mean(name, sites, f"there are {', '.join(sites)}"))
    return sites[name]


def runner(site: Site) -> Run:
    """Runs commands at the site: here, or by ssh."""
    if not site.host:
        return run_here

    async def run_there(command: Sequence[str], seconds: float) -> Answer:
        return await run_here(remote_command(login_of(site), command), seconds)

    return run_there


def look_at(site: Site) -> Seen:
    """Ask the site's machine, and its scheduler. Raises UserError if the machine does not answer."""
    return asyncio.run(look_closely(site))


async def look_closely(site: Site) -> Seen:
    """`look_at`, within a loop."""
    run = runner(site)
    answer = await run(probe_command(), PROBE_SECONDS)
    facts = parse_probe(answer.output)
    if answer.code in (TOO_LONG, NO_COMMAND, SSH_FAILED) or not facts.host:
        where = site.host or "this machine"
        hint = f"does `ssh {site.host} true` work without a question?" if site.host else ""
        raise UserError(f"{where} does not answer: {answer.words.strip() or f'code {answer.code}'}", hint=hint)
    at_home = site.name == LOCAL and not site.file  # it is no pilot's place unless somebody says so
    found = guess(_with_kind(site, "local") if at_home else site, facts)
    if found.scheduler.kind == "local":
        return Seen(site=found, facts=facts)
    try:
        state = await ask.machine(ask.Site(scheduler=SCHEDULERS[found.scheduler.kind], run=run, pauses=(1.0,)))
    except UserError as error:
        return Seen(site=found, facts=facts, trouble=str(error))
    return Seen(site=with_machine(found, state), facts=facts, state=state)


def _with_kind(site: Site, kind: str) -> Site:
    return Site(name=site.name, host=site.host, scheduler=SchedulerSettings(kind=kind))


def draft(seen: Seen, name: str, host: str) -> str:
    """The description of a new site: what cannot be guessed, and in comments what was found."""
    state, site = seen.state, seen.site
    lines = [f"# {_summary(seen)}", f"{name}:"]
    if host:
        lines.append(f"  host: {_quoted(host)}")
    lines.append(f"  work: {_quoted(site.work)}  # every node must see it")
    lines += ["  scheduler:", f"    kind: {site.scheduler.kind}"]
    if seen.trouble:
        lines.append("    # it did not answer: which queues it has is not known")
    if state is not None:
        usual = [queue.name for queue in state.queues if queue.open and queue.default]
        others = [queue.name for queue in state.queues if queue.open]
        if not usual and others:
            lines.append(f"    queue: {_quoted(others[0])}")
        lines.append("    # account: NAME  # who pays, if that must be said")
    return "\n".join(lines) + "\n"


def _summary(seen: Seen) -> str:
    state = seen.state
    if state is None:
        return f"{seen.facts.host}: {seen.facts.cores} cores" + (", no batch scheduler" if not seen.trouble else "")
    shapes = ", ".join(
        f"{shape.count} x {shape.cores} cores" + (f" and {shape.gpus} GPUs" if shape.gpus else "")
        for shape in state.shapes[:4]
    )
    queues = ", ".join(map(_told, state.queues[:8]))
    return f"{seen.facts.host}: {seen.site.scheduler.kind}, nodes {shapes}" + (f"; queues {queues}" if queues else "")


def _told(queue: Queue) -> str:
    limits = [
        "default" if queue.default else "",
        _hours(queue.max_wall_seconds) if queue.max_wall_seconds else "",
        f"{queue.max_nodes} nodes" if queue.max_nodes else "",
    ]
    shown = ", ".join(filter(None, limits))
    return f"{queue.name} ({shown})" if shown else queue.name


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z/~][\w./@~+-]*", text, re.ASCII) else json.dumps(text)


def add_site(path: Path, name: str, text: str) -> None:
    """Append a description to a site file, made if need be. Raises UserError if the file has that site, or is wrong."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else HEAD
        if name in read_sites(before, str(path)):
            raise UserError(f"{path} has a site {name!r}", hint="give the new one another name")
        after = f"{before.rstrip()}\n\n{text}"
        read_sites(after, str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(after, encoding="utf-8")
        part.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot write {path}: {error}") from error
