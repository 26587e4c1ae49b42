"""mpirun of Open MPI."""

from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "mpirun"
CHOOSES_HOSTS = False


def launch_command(run: MpiRun) -> Launch:
    most = ranks_per_node(run)
    hosts = ",".join(f"{host}:{most}" for host in run.hosts)
    cores = f":PE={run.threads}" if run.threads > 1 and run.binding in ("", "core") else ""
    argv = [PROGRAM, "--host", hosts, "-n", str(run.ranks), "--map-by", f"ppr:{most}:node{cores}"]
    if run.binding:
        argv += ["--bind-to", run.binding]
    if run.oversubscribe:
        argv.append("--oversubscribe")
    for name in sorted(run.environment):
        argv += ["-x", name]
    return Launch([*argv, *run.options, *with_devices(run, "$OMPI_COMM_WORLD_LOCAL_RANK")], dict(run.environment))
