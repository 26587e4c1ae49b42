"""mpiexec of MPICH and its kin (Hydra): Intel MPI, MVAPICH."""

from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "mpiexec"
CHOOSES_HOSTS = False
BINDINGS = {"core": "core", "socket": "socket", "none": "none"}
SRUN_OPTIONS = "--overlap --mem=0 --exact --mpi=none"


def launch_command(run: MpiRun) -> Launch:
    """Hydra starts a proxy a node: by srun inside Slurm, where `pmi` is told, else by ssh; here by itself.

    Left alone in a Slurm job it would use srun without `--overlap`, and wait for the cores of its own batch job.
    """
    environment = dict(run.environment)
    if run.hosts in ((run.here,), ("localhost",)):
        means = ["-launcher", "fork"]
    elif run.pmi:
        means = ["-launcher", "slurm"]
        environment["HYDRA_LAUNCHER_EXTRA_ARGS"] = SRUN_OPTIONS
    else:
        means = ["-launcher", "ssh"]
    argv = [PROGRAM, *means, "-rmk", "user", "-hosts", ",".join(run.hosts)]
    argv += ["-n", str(run.ranks), "-ppn", str(ranks_per_node(run))]
    if run.binding:
        width = f":{run.threads}" if run.binding == "core" and run.threads > 1 else ""
        argv += ["-bind-to", BINDINGS[run.binding] + width]
    return Launch([*argv, *run.options, *with_devices(run, "$MPI_LOCALRANKID")], environment)
