"""Which site each step of a run goes to: the command line says it, else the document, else the site files."""

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.records import Process, Program, Step, ToolProcess, WorkflowProcess
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.errors import UserError, did_you_mean
from cwlbalsam.jobs.names import step_of
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.sites.site import LOCAL, Site


class Tool(Struct, frozen=True):
    """A tool where a workflow calls it. step: `outer/inner`; its own name if the document is the tool. process: its
    index."""

    step: str
    process: int


class RunSites(Struct, frozen=True):
    """sites: that the run uses, by name, this machine left out. by_step: the site of each tool's step, "" for here.

    commands: the same of jobs that are no step of the document.
    """

    sites: Mapping[str, Site]
    by_step: Mapping[str, str]
    commands: str = ""

    def of(self, task: Task) -> str:
        """The site of a job that has a command; "" for this machine."""
        if task.program == COMMANDS.digest:
            return self.commands
        return self.by_step.get(step_of(task.name), "")

    @property
    def order(self) -> Callable[[Task], float] | None:
        """In which jobs that are ready together are handed out; None: as they come."""
        return None

    def keep_in(self, folder: Path) -> None:
        """The run's folder, where what is worth keeping can be kept."""

    def may_run(self, step: str, site: str) -> bool:
        """Whether jobs of a step go to a site, "" for this machine."""
        return self.by_step[step] == site

    def tools_at(self, program: Program, site: str) -> list[ToolProcess]:
        """What runs at a site."""
        there = dict.fromkeys(tool.process for tool in tools_of(program) if self.may_run(tool.step, site))
        found = (program.processes[index] for index in there)
        return [process for process in found if isinstance(process, ToolProcess)]

    def processes_here(self, program: Program, *, forbidden: bool) -> list[Process]:
        """What needs the container engine of this machine, or of one that is set up like it. forbidden: anywhere."""
        elsewhere = {
            id(tool) for site in self.sites.values() if site.host for tool in self.tools_at(program, site.name)
        }
        elsewhere -= {id(tool) for tool in self.tools_at(program, "")}
        return [process for process in program.processes if forbidden or id(process) not in elsewhere]


NOWHERE_ELSE = RunSites({}, {})


def sites_home_of(options: RunOptions, home: Home) -> Home:
    """Where the sites are described, and their agents live."""
    return Home(Path(options.sites_home)) if options.sites_home else home


def sites_of(options: RunOptions, home: Home, program: Program) -> RunSites:
    """Raises UserError for a site or step that is not known."""
    if options.plan:
        return _planned_sites(options, home, program)
    tools = list(tools_of(program))
    hinted = any(process.requirements.site for process in program.processes)
    described = sites_home_of(options, home).path / "sites.yml"
    if not (options.site or options.step_sites or hinted or _has_steps(described) or options.sites):
        return RunSites({}, dict.fromkeys((tool.step for tool in tools), ""))
    from cwlbalsam.service.site_files import pick_site

    sites = described_sites(options, home)
    by_step = {}
    for step, name in settled(options, program, sites).items():
        site = pick_site(sites, name) if name else sites[LOCAL]
        by_step[step] = "" if _is_here(site) else site.name
    whole = pick_site(sites, options.site) if options.site else sites[LOCAL]
    commands = "" if _is_here(whole) else whole.name
    used = {name: sites[name] for name in dict.fromkeys([*by_step.values(), commands]) if name}
    return RunSites(used, by_step, commands)


def _planned_sites(options: RunOptions, home: Home, program: Program) -> RunSites:
    """All that a plan may choose among."""
    from cwlbalsam.service.site_files import pick_site

    sites = described_sites(options, home)
    names = dict.fromkeys([*options.plan, *settled(options, program, sites).values()])
    return RunSites({name: pick_site(sites, name) for name in names if name not in ("", LOCAL)}, {})


def described_sites(options: RunOptions, home: Home) -> dict[str, Site]:
    """All sites that there are, by name."""
    from cwlbalsam.service.site_files import find_sites

    base = Path(options.directory or ".")
    return find_sites(sites_home_of(options, home), [base / name for name in options.sites])


def settled(options: RunOptions, program: Program, sites: Mapping[str, Site]) -> dict[str, str]:
    """The site that somebody has chosen for each tool's step, "" if nobody has. Raises UserError for no such step."""
    tools = list(tools_of(program))
    told = _told(options, tools)
    return {
        tool.step: told(tool.step) or program.processes[tool.process].requirements.site or _matched(sites, tool.step)
        for tool in tools
    }


def _is_here(site: Site) -> bool:
    return site.name == LOCAL


def _has_steps(path: Path) -> bool:
    """Whether it can have patterns of steps: to read YAML takes its time."""
    try:
        return b"steps" in path.read_bytes()
    except OSError:
        return False


def _told(options: RunOptions, tools: list[Tool]) -> Callable[[str], str]:
    """What `--site STEP=NAME` and `--site NAME` say of a step; of several patterns that match the last counts."""
    rules = []
    for rule in options.step_sites:
        pattern, _, name = rule.rpartition("=")
        if not any(_matches(pattern, tool.step) for tool in tools):
            steps = [tool.step for tool in tools]
            raise UserError(
                f"--site {rule}: the workflow has no step {pattern!r}", hint=did_you_mean(pattern, steps, _list(steps))
            )
        rules.append((pattern, name))

    def told(step: str) -> str:
        return next((name for pattern, name in reversed(rules) if _matches(pattern, step)), options.site)

    return told


def _list(steps: list[str]) -> str:
    return f"there are {', '.join(steps[:20])}"


def _matches(pattern: str, step: str) -> bool:
    """A pattern is for a step, or for all steps of a subworkflow."""
    return fnmatch.fnmatchcase(step, pattern) or fnmatch.fnmatchcase(step, f"{pattern}/*")


def _matched(sites: Mapping[str, Site], step: str) -> str:
    """The first site whose description asks for the step."""
    return next((site.name for site in sites.values() if any(_matches(each, step) for each in site.steps)), "")


def tools_of(program: Program) -> Iterator[Tool]:
    """All tools as they are called, in the order of the document."""

    def walk(index: int, path: str) -> Iterator[Tool]:
        process: Process = program.processes[index]
        if isinstance(process, ToolProcess):
            yield Tool(path, index)
        elif isinstance(process, WorkflowProcess):
            for step in process.steps:
                yield from walk(step.run, _join(path, step))

    main = program.processes[program.main]
    return walk(program.main, "" if isinstance(main, WorkflowProcess) else step_of(main.id))


def _join(path: str, step: Step) -> str:
    return f"{path}/{step.name}" if path else step.name
