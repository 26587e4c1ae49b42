"""How a site starts MPI jobs on the nodes that they were given."""

from typing import cast

from msgspec.structs import replace

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.tasks import Launch, ScriptLaunch, Task
from cwlbalsam.executor.allocation import inherited_names
from cwlbalsam.jobs.commands import PORT, decode_command
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import Binding, MpiRun
from cwlbalsam.sites.site import Site

USUAL = "mpich"


def with_launch(task: Task, site: Site) -> Task:
    """The task with the launch command for its hosts. Raises UserError for what the launch command cannot do."""
    if not task.grant.ranks and task.program != COMMANDS.digest:  # it only has its node to itself
        return task
    grant, settings = task.grant, site.mpi
    launcher, binding = settings.launcher or USUAL, cast("Binding", settings.binding)
    inherit = inherited_names(site.scheduler.kind)
    if task.program == COMMANDS.digest and decode_command(task.inputs[PORT]).mode == "script":
        script = ScriptLaunch(launcher, settings.pmi, binding, settings.options)
        return replace(task, launch=Launch(inherit=inherit, script=script))
    run = MpiRun(
        argv=(),
        ranks=grant.ranks or sum(count for _, count in task.hosts),
        hosts=tuple(host for host, count in task.hosts if count),
        ranks_per_node=max(count for _, count in task.hosts),
        threads=max(int(grant.cores), 1),
        gpus_per_rank=grant.gpus,
        devices=task.devices,
        binding=binding,
        pmi=settings.pmi,
        options=settings.options,
    )
    made = LAUNCHERS[launcher].launch_command(run)
    return replace(task, launch=Launch(tuple(made.argv), made.environment, inherit))
