"""How a site starts MPI jobs on the nodes that they were given."""

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Launch, Task
from cwlbalsam.executor.allocation import inherited_names
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import Binding, MpiRun


class MpiSetup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """launcher: a launch command's name; empty: what suits the scheduler. pmi, options: as `MpiRun` has them."""

    launcher: str = ""
    pmi: str = ""
    binding: Binding = ""
    options: tuple[str, ...] = ()

    def with_launch(self, task: Task, scheduler: str) -> Task:
        """The task with its launch command. Raises UserError for what the launch command cannot do."""
        grant = task.grant
        run = MpiRun(
            argv=(),
            ranks=grant.ranks,
            hosts=tuple(host for host, _ in task.hosts),
            ranks_per_node=max(count for _, count in task.hosts),
            threads=max(int(grant.cores), 1),
            gpus_per_rank=grant.gpus,
            binding=self.binding,
            pmi=self.pmi,
            options=self.options,
        )
        made = LAUNCHERS[self.launcher or DEFAULTS.get(scheduler, "mpich")].launch_command(run)
        return replace(task, launch=Launch(tuple(made.argv), made.environment, inherited_names(scheduler)))


DEFAULTS = {"slurm": "srun", "lsf": "jsrun", "flux": "flux", "cobalt": "aprun"}
