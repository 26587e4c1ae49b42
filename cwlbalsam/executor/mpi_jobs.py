"""How a site starts MPI jobs on the nodes that they were given."""

from typing import cast

from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Launch, Task
from cwlbalsam.executor.allocation import inherited_names
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import Binding, MpiRun
from cwlbalsam.sites.site import Site

USUAL = "mpich"


def with_launch(task: Task, site: Site) -> Task:
    """The task with the launch command for its hosts. Raises UserError for what the launch command cannot do."""
    grant, settings = task.grant, site.mpi
    run = MpiRun(
        argv=(),
        ranks=grant.ranks,
        hosts=tuple(host for host, _ in task.hosts),
        ranks_per_node=max(count for _, count in task.hosts),
        threads=max(int(grant.cores), 1),
        gpus_per_rank=grant.gpus,
        binding=cast("Binding", settings.binding),
        pmi=settings.pmi,
        options=settings.options,
    )
    made = LAUNCHERS[settings.launcher or USUAL].launch_command(run)
    return replace(task, launch=Launch(tuple(made.argv), made.environment, inherited_names(site.scheduler.kind)))
