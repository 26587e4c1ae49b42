"""Batch scripts as jobs: what they see of their nodes."""

import os
from collections.abc import Mapping
from pathlib import Path

from cwlbalsam.cwl.execution import Command
from cwlbalsam.cwl.tasks import Launch, Settings, Task
from cwlbalsam.executor.mpi_places import ScriptNodes
from cwlbalsam.executor.mpi_shim import write_commands
from cwlbalsam.jobs.commands import PORT, decode_command


def equip(command: Command, task: Task, settings: Settings, environ: Mapping[str, str]) -> None:
    """Give a script the commands that start programs on its nodes, and the variables that batch jobs have.

    environ: of the batch job that we are in.
    """
    asked = decode_command(task.inputs[PORT])
    launch = task.launch or Launch()
    nodes = ScriptNodes(
        hosts=task.hosts,
        cores=max(int(asked.cores), 1),
        ranks=asked.ranks,
        devices=task.devices,
        gpus_per_rank=asked.gpus,
        command=() if task.launch is not None else settings.mpi_command,
        launcher=launch.script.launcher,
        pmi=launch.script.pmi,
        binding=launch.script.binding,
        options=launch.script.options,
        environment={
            name: text for name, text in environ.items() if launch.inherit and name.startswith(launch.inherit)
        },
    )
    folder = Path(f"{task.directory}.mpi")
    variables = write_commands(folder, nodes)
    node_file = folder / "nodes"
    node_file.write_text("".join(f"{host}\n" * max(ranks, 1) for host, ranks in task.hosts))
    path = f"{variables.pop('PATH')}{os.pathsep}{command.environment.get('PATH', settings.path)}"
    command.environment = {**command.environment, **variables, **_told(task, nodes, str(node_file)), "PATH": path}


def _told(task: Task, nodes: ScriptNodes, node_file: str) -> dict[str, str]:
    """What batch schedulers tell their scripts, and the same in our own name."""
    names = ",".join(host for host, _ in nodes.hosts)
    count, ranks = str(len(nodes.hosts)), str(nodes.ranks or sum(room for _, room in nodes.hosts))
    number, name = str(task.job), task.name.partition("[")[0]
    return {
        "CWLBALSAM_NODES": count,
        "CWLBALSAM_NODELIST": names,
        "CWLBALSAM_NODEFILE": node_file,
        "CWLBALSAM_RANKS": ranks,
        "SLURM_JOB_ID": number,
        "SLURM_JOB_NAME": name,
        "SLURM_JOB_NODELIST": names,
        "SLURM_NODELIST": names,
        "SLURM_JOB_NUM_NODES": count,
        "SLURM_NNODES": count,
        "SLURM_NTASKS": ranks,
        "SLURM_CPUS_PER_TASK": str(nodes.cores),
        "PBS_JOBID": number,
        "PBS_JOBNAME": name,
        "PBS_NODEFILE": node_file,
        "LSB_JOBID": number,
        "LSB_HOSTS": " ".join(host for host, room in nodes.hosts for _ in range(max(room, 1))),
    }
