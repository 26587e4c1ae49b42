"""How a site starts MPI jobs on the nodes that they were given."""

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.tasks import Launch, ScriptLaunch, Task
from cwlbalsam.executor.allocation import inherited_names
from cwlbalsam.jobs.commands import PORT, decode_command
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
        if not task.grant.ranks and task.program != COMMANDS.digest:  # it only has its node to itself
            return task
        grant, launcher = task.grant, self.launcher or DEFAULTS.get(scheduler, "mpich")
        if task.program == COMMANDS.digest and decode_command(task.inputs[PORT]).mode == "script":
            script = ScriptLaunch(launcher, self.pmi, self.binding, self.options)
            return replace(task, launch=Launch(inherit=inherited_names(scheduler), script=script))
        run = MpiRun(
            argv=(),
            ranks=grant.ranks or sum(count for _, count in task.hosts),
            hosts=tuple(host for host, count in task.hosts if count),
            ranks_per_node=max(count for _, count in task.hosts),
            threads=max(int(grant.cores), 1),
            gpus_per_rank=grant.gpus,
            devices=task.devices,
            binding=self.binding,
            pmi=self.pmi,
            options=self.options,
        )
        made = LAUNCHERS[launcher].launch_command(run)
        return replace(task, launch=Launch(tuple(made.argv), made.environment, inherited_names(scheduler)))


DEFAULTS = {"slurm": "srun", "lsf": "jsrun", "flux": "flux", "cobalt": "aprun"}
