"""The sites of a run that a plan chooses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.events import Reporter
from cwlbalsam.planner.problem import Duration
from cwlbalsam.service.expected import Fixed
from cwlbalsam.service.following import Follower
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.planning import Planned, Wishes, plan_program, with_sizes
from cwlbalsam.service.run_sites import RunSites
from cwlbalsam.sites.site import LOCAL


def plan_run(
    program: Program,
    values: Mapping[str, Any],
    options: RunOptions,
    home: Home,
    reporter: Reporter,
    ended: Mapping[str, str] | None = None,
) -> "FollowedSites":
    """ended: the sites of jobs of a resumed run that have ended. Raises UserError, Infeasible if the plan's constraints
    cannot be met."""
    if options.site:
        hint = f"give --plan {options.site}, or --site STEP={options.site} for some steps"
        raise UserError(f"--plan chooses the sites, and --site {options.site} has chosen one", hint=hint)
    wishes = Wishes(
        sites=options.plan,
        max_node_hours=options.max_node_hours,
        min_efficiency=options.min_efficiency,
        deadline_seconds=options.deadline,
    )
    fixed = {name: Fixed(site, Duration(0.0)) for name, site in (ended or {}).items()}
    planned = plan_program(program, values, options, home, wishes, fixed)
    follower = Follower(program, with_sizes(values), planned, reporter)
    return FollowedSites(
        sites={name: site for name, site in planned.sites.items() if name != LOCAL},
        by_step={},
        follower=follower,
        may=_sites_of_steps(planned),
    )


class FollowedSites(RunSites, frozen=True, kw_only=True):
    """may: the sites that each step's jobs may go to."""

    follower: "Follower"
    may: Mapping[str, frozenset[str]]

    def of(self, task: Task) -> str:
        """See `RunSites`."""
        if task.program == COMMANDS.digest:  # no step of the document
            return self.commands
        site = self.follower.site_of(task)
        return "" if site == LOCAL else site

    @property
    def order(self) -> Callable[[Task], float] | None:
        """As they are planned to start."""
        return self.follower.planned_start

    def keep_in(self, folder: Path) -> None:
        """See `RunSites`."""
        self.follower.folder = folder

    def may_run(self, step: str, site: str) -> bool:
        """See `RunSites`."""
        return (site or LOCAL) in self.may.get(step, ())


def _sites_of_steps(planned: Planned) -> dict[str, frozenset[str]]:
    problem = planned.problem
    found: dict[str, set[str]] = {}
    for work in problem.works:
        found.setdefault(work.name, set()).update(problem.sites[one.site].name for one in work.options if one.nodes)
    return {step: frozenset(sites) for step, sites in found.items()}
