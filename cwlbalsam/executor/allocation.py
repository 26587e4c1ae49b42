"""What is ours of a node, and where this machine is reached."""

import os
import re
import socket
from collections.abc import Mapping

from cwlbalsam.executor.capacity import Machine, visible_devices

_COUNT = re.compile(r"\d+")


def granted_machine(seen: Machine, environ: Mapping[str, str]) -> Machine:
    """What is ours of a node, of which a process sees `seen`: less than that, or more where it is bound to a part."""
    cores = _first(environ, "SLURM_CPUS_ON_NODE", "NCPUS", "PBS_NCPUS", "LSB_MAX_NUM_PROCESSORS")
    memory = _first(environ, "SLURM_MEM_PER_NODE")
    if not memory and cores:
        memory = _first(environ, "SLURM_MEM_PER_CPU") * cores
    gpus = visible_devices(environ.get("CUDA_VISIBLE_DEVICES", ""))
    return Machine(
        cores=cores or seen.cores,
        ram=memory or seen.ram,
        tmpdir=seen.tmpdir,
        gpus=len(gpus) or seen.gpus,
        devices=gpus or seen.devices,
    )


def _first(environ: Mapping[str, str], *names: str) -> int:
    for name in names:
        found = _COUNT.match(environ.get(name, ""))
        if found:
            return int(found.group())
    return 0


def inherited_names(scheduler: str) -> tuple[str, ...]:
    """First letters of the variables by which a launch command knows its allocation: MPI jobs get them, no other."""
    return {"slurm": ("SLURM_",), "pbs": ("PBS_",), "lsf": ("LSB_", "LSF_", "JSM_"), "flux": ("FLUX_",)}.get(
        scheduler, ()
    )


def listening_socket() -> socket.socket:
    """At a free port of all addresses of this machine, old and new ones."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:
            pass  # the kernel has no IPv6
    return socket.create_server(("", 0))


def addresses(port: int) -> list[tuple[str, int]]:
    """Where this machine may be reached, the likeliest first."""
    names = [socket.gethostname()]
    numbers: list[str] = []
    for name in names:
        try:
            numbers += [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
        except OSError:
            continue
    numbers += _own_addresses()
    return [(host, port) for host in dict.fromkeys([*names, *numbers, "127.0.0.1"])]


def _own_addresses() -> list[str]:
    """Of the interface that leads outside; asks nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): a datagram socket sends nothing yet
            return [str(probe.getsockname()[0])]
        except OSError:
            return []


def is_here(host: str) -> bool:
    return host.partition(".")[0] in {"localhost", os.uname().nodename.partition(".")[0]}
