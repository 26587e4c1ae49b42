"""flux run, inside a Flux instance."""

from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "flux"
CHOOSES_HOSTS = False
AFFINITY = {"core": "per-task", "socket": "on", "none": "off"}


def launch_command(run: MpiRun) -> Launch:
    """Flux gives GPUs by itself, unless somebody has said which ones."""
    ranks_per_node(run)  # refuses what does not fit
    argv = [PROGRAM, "run", f"--nodes={len(run.hosts)}", f"--requires=host:{','.join(run.hosts)}"]
    argv += [f"--ntasks={run.ranks}", f"--cores-per-task={run.threads}"]
    if run.binding:
        argv += ["-o", f"cpu-affinity={AFFINITY[run.binding]}"]
    if run.gpus_per_rank and not run.devices:
        argv += [f"--gpus-per-task={run.gpus_per_rank}", "-o", "gpu-affinity=per-task"]
        return Launch([*argv, *run.options, *run.argv], dict(run.environment))
    if run.gpus_per_rank:
        argv += ["-o", "gpu-affinity=off"]
    return Launch([*argv, *run.options, *with_devices(run, "$FLUX_TASK_LOCAL_ID")], dict(run.environment))
