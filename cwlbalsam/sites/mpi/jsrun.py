"""jsrun, of IBM's Job Step Manager under LSF: it has resource sets, here one a rank."""

from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node

PROGRAM = "jsrun"
CHOOSES_HOSTS = True


def launch_command(run: MpiRun) -> Launch:
    """Hosts are jsrun's choice: it keeps account of what its other runs in the batch job have."""
    argv = [PROGRAM, "--nrs", str(run.ranks), "--tasks_per_rs", "1", "--cpu_per_rs", str(run.threads)]
    argv += ["--gpu_per_rs", str(run.gpus_per_rank), "--rs_per_host", str(ranks_per_node(run))]
    argv += ["--launch_distribution", "packed"]
    if run.binding:
        argv += ["--bind", {"core": f"packed:{run.threads}", "socket": "rs", "none": "none"}[run.binding]]
    for name in sorted(run.environment):
        argv += ["--env", name]
    return Launch([*argv, *run.options, *run.argv], dict(run.environment))
