"""aprun, of Cray's ALPS; hosts are node numbers."""

from cwlbalsam.errors import UserError
from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node, with_devices

PROGRAM = "aprun"
CHOOSES_HOSTS = False
BINDINGS = {"core": "depth", "socket": "numa_node", "none": "none"}


def launch_command(run: MpiRun) -> Launch:
    most = ranks_per_node(run)
    numbers = [host.removeprefix("nid").lstrip("0") or "0" for host in run.hosts]
    odd = next((host for host, number in zip(run.hosts, numbers, strict=True) if not number.isdecimal()), "")
    if odd:
        raise UserError(f"aprun wants node numbers: {odd!r} is none")
    argv = [PROGRAM, "-n", str(run.ranks), "-N", str(most), "-d", str(run.threads), "-L", ",".join(numbers)]
    if run.binding:
        argv += ["-cc", BINDINGS[run.binding]]
    return Launch([*argv, *run.options, *with_devices(run, f"$((ALPS_APP_PE % {most}))")], dict(run.environment))
