"""srun, as a step inside a Slurm batch job whose nodes somebody else shares out."""

from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "srun"
CHOOSES_HOSTS = False
CREATION_SECONDS = 60
"""How long Slurm may take to make the step. It would wait without end, and without a word, for cores it thinks busy."""
BINDINGS = {"core": "cores", "socket": "sockets", "none": "none"}


def launch_command(run: MpiRun) -> Launch:
    """`--overlap`, `--exact` and `--mem=0` let steps stand side by side; `--nodelist` says where.

    Slurm's own count of cores and GPUs is passed over: a batch job's launcher has one for all its nodes.
    """
    argv = [
        PROGRAM,
        "--overlap",
        "--exact",
        "--mem=0",
        f"--immediate={CREATION_SECONDS}",
        "--kill-on-bad-exit=1",
        "--distribution=block",
        f"--nodelist={','.join(run.hosts)}",
        f"--nodes={len(run.hosts)}",
        f"--ntasks={run.ranks}",
        f"--ntasks-per-node={ranks_per_node(run)}",
        f"--cpus-per-task={run.threads}",
    ]
    if run.pmi:
        argv.append(f"--mpi={run.pmi}")
    if run.binding:
        argv.append(f"--cpu-bind={BINDINGS[run.binding]}")
    if run.oversubscribe:
        argv.append("--overcommit")
    return Launch([*argv, *run.options, *with_devices(run, "$SLURM_LOCALID")], dict(run.environment))
