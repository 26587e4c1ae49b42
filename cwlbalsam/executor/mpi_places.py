"""The nodes of a script's job, shared out among the MPI programs that the script has running. No I/O."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.executor.mpi_calls import Call
from cwlbalsam.sites.mpi.base import Binding


class ScriptNodes(Struct, frozen=True, kw_only=True):
    """What a script's launch commands know of its job. hosts: nodes, and the ranks of `cores` cores for which each has
    room. ranks: of the job, 0: not said. devices: GPUs on each node. command: what starts programs on this machine;
    empty: the site's `launcher`. environment: of the batch job that the nodes are in, which launch commands need.
    """

    hosts: tuple[tuple[str, int], ...]
    cores: int = 1
    ranks: int = 0
    devices: tuple[str, ...] = ()
    gpus_per_rank: int = 0
    command: tuple[str, ...] = ()
    launcher: str = ""
    pmi: str = ""
    binding: Binding = ""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = {}


class Use(Struct, frozen=True):
    """What one running program has. ticks: when its process started."""

    pid: int
    ticks: int
    cores: dict[str, int]
    devices: tuple[str, ...] = ()


class Place(Struct, frozen=True):
    """Ranks fill a node before the next one."""

    hosts: tuple[str, ...]
    ranks: int
    ranks_per_node: int
    threads: int
    devices: tuple[str, ...] = ()

    def cores(self) -> dict[str, int]:
        """By node."""
        left, found = self.ranks, {}
        for host in self.hosts:
            count = min(left, self.ranks_per_node)
            found[host] = count * self.threads
            left -= count
        return found


def find_place(name: str, call: Call, nodes: ScriptNodes, uses: Sequence[Use]) -> Place | None:
    """Where a program goes; None if it has to wait until others have ended. Raises UserError if it never fits."""
    call = _completed(name, call, nodes)
    total = {host: room * nodes.cores for host, room in nodes.hosts if not call.hosts or host in call.hosts}
    if unknown := [host for host in call.hosts if host not in dict(nodes.hosts)]:
        raise _refused(name, f"node {unknown[0]} is not one of this job", nodes)
    if call.nodes > len(nodes.hosts):
        raise _refused(name, f"{call.nodes} nodes are asked for", nodes)
    if _fit(call, total, nodes.devices) is None:
        asked = f"{call.ranks} rank{'s' * (call.ranks > 1)} of {call.threads} core{'s' * (call.threads > 1)} each"
        asked += f" on {call.nodes} nodes" if call.nodes > 1 else ""
        asked += f" with {call.gpus_per_rank} GPUs" if call.gpus_per_rank else ""
        raise _refused(name, f"{asked} are asked for", nodes)
    if call.shares:
        return _fit(call, total, nodes.devices)
    for use in uses:
        for host, cores in use.cores.items():
            if host in total:
                total[host] -= cores
    busy = {device for use in uses for device in use.devices}
    return _fit(call, total, [device for device in nodes.devices if device not in busy])


def _completed(name: str, call: Call, nodes: ScriptNodes) -> Call:
    """With what it leaves unsaid."""
    threads = call.threads or nodes.cores
    gpus = call.gpus_per_rank or (nodes.gpus_per_rank if nodes.ranks else 0)
    room = sum(count * nodes.cores // threads for _, count in nodes.hosts)
    ranks = call.ranks or call.ranks_per_node * (call.nodes or len(nodes.hosts)) or nodes.ranks
    if not ranks:
        ranks = (call.nodes or len(nodes.hosts)) if name in ("srun", "aprun") else room
    return Call(
        argv=call.argv,
        ranks=ranks,
        nodes=call.nodes,
        ranks_per_node=call.ranks_per_node,
        threads=threads,
        gpus_per_rank=gpus,
        hosts=call.hosts,
        shares=call.shares,
    )


def _fit(call: Call, free: Mapping[str, int], devices: Sequence[str]) -> Place | None:
    """On as few nodes as can be, with equally many ranks on each but the last."""
    room = {host: max(cores, 0) // call.threads for host, cores in free.items()}
    most = max(room.values(), default=0)
    if call.gpus_per_rank:
        most = min(most, len(devices) // call.gpus_per_rank)
    if call.ranks_per_node:
        most = min(most, call.ranks_per_node)
    if call.nodes:
        most = min(most, -(-call.ranks // call.nodes))
    for each in range(min(most, call.ranks), 0, -1):
        needed = call.nodes or -(-call.ranks // each)
        hosts = [host for host, ranks in room.items() if ranks >= each][:needed]
        if len(hosts) == needed and each * needed >= call.ranks:
            return Place(tuple(hosts), call.ranks, each, call.threads, tuple(devices[: each * call.gpus_per_rank]))
    return None


def _refused(name: str, asked: str, nodes: ScriptNodes) -> UserError:
    room = sum(count for _, count in nodes.hosts)
    count = len(nodes.hosts)
    gpus = f" and {len(nodes.devices)} GPUs on each" if nodes.devices else ""
    has = f"this job has {count} node{'s' * (count > 1)} with room for {room} rank{'s' * (room > 1)}"
    return UserError(
        f"{name}: {asked}, and {has} of {nodes.cores} core{'s' * (nodes.cores > 1)} each{gpus}",
        hint="submit the script with more --nodes, --ranks, --cores or --gpus",
    )
