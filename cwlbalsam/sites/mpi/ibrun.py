"""ibrun, of the Texas Advanced Computing Center: it counts in task slots of the batch job, not in hosts."""

from cwlbalsam.errors import UserError
from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "ibrun"
CHOOSES_HOSTS = False
LOCAL_RANK = "${MPI_LOCALRANKID:-${OMPI_COMM_WORLD_LOCAL_RANK:-${SLURM_LOCALID:-0}}}"


def launch_command(run: MpiRun) -> Launch:
    """The hosts must stand side by side in the allocation, for a run has an offset and a length."""
    most = ranks_per_node(run)
    allocation = run.allocation or run.hosts
    first = allocation.index(run.hosts[0]) if run.hosts[0] in allocation else 0
    if allocation[first : first + len(run.hosts)] != run.hosts:
        shown = ", ".join(run.hosts[:8])
        raise UserError(f"ibrun starts programs on neighbouring nodes only; these are not: {shown}")
    environment = {**run.environment, "TACC_TASKS_PER_NODE": str(most)}
    argv = [PROGRAM, "-n", str(run.ranks), "-o", str(first * most)]
    affinity = ["task_affinity"] if run.binding in ("core", "socket") else []
    return Launch([*argv, *run.options, *affinity, *with_devices(run, LOCAL_RANK)], environment)
