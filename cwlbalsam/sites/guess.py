"""What a machine tells of itself, and what a site is, then, where its description is silent."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from cwlbalsam.jobs.batch import MachineState
from cwlbalsam.sites.containers import ENGINES
from cwlbalsam.sites.schedulers.reading import megabytes, number
from cwlbalsam.sites.site import NodeSettings, Site, TransferSettings

SCHEDULER_PROGRAMS = {
    "slurm": ("sbatch", "squeue"),
    "lsf": ("bsub", "bjobs"),
    "pbs": ("qsub", "pbs_rstat"),
    "cobalt": ("qsub", "showres"),
    "torque": ("qsub", "pbsnodes"),
}
"""All of them must be there; the first that fits, counts: Slurm may have PBS's commands, too."""
OWN_LAUNCHERS = ("aprun", "jsrun", "ibrun", "runjob")
"""Where one of these is, it is the machine's way to start MPI programs."""
MPIEXEC_WORDS = {"mpich": r"HYDRA|MPICH|Intel\(R\) MPI|MVAPICH", "openmpi": r"Open ?MPI|OpenRTE|PRRTE"}
TRANSFER_PROGRAMS = {"scp": ("scp",), "rsync": ("rsync",), "tar": ("tar",), "gridftp": ("globus-url-copy",)}
_BINARIES = [binary for engine in ENGINES.values() for binary in engine.BINARIES]
PROGRAMS = tuple(
    dict.fromkeys(
        [program for programs in (*SCHEDULER_PROGRAMS.values(), *TRANSFER_PROGRAMS.values()) for program in programs]
        + ["flux", "srun", "mpiexec", *OWN_LAUNCHERS, *_BINARIES]
    )
)
_PROBE = f"""echo "host $(uname -n)"; echo "home $HOME"; echo "cores $(nproc)"
for each in {" ".join(PROGRAMS)}; do command -v "$each" > /dev/null 2>&1 && echo "program $each"; done
grep MemTotal /proc/meminfo; echo "gpus $(ls /dev 2> /dev/null | grep -c '^nvidia[0-9]')"
[ -n "$FLUX_URI" ] && echo "flux here"
echo "mpiexec $( (timeout 5 mpiexec --version || true) 2>&1 < /dev/null | head -3 | tr '\\n' ' ')"; true"""


class Facts(Struct, frozen=True, kw_only=True):
    """What a probe found. mpiexec: the first words of its version; flux: it runs inside a Flux instance."""

    host: str = ""
    home: str = ""
    cores: int = 0
    memory_megabytes: int = 0
    gpus: int = 0
    programs: frozenset[str] = frozenset()
    mpiexec: str = ""
    flux: bool = False


def probe_command() -> list[str]:
    return ["sh", "-c", _PROBE]


def parse_probe(output: str) -> Facts:
    """Lines `name value`; a machine may print others before them, of its shell's start."""
    lines = [line.partition(" ")[::2] for line in output.splitlines()]
    told = {name: value.strip() for name, value in lines}
    return Facts(
        host=told.get("host", ""),
        home=home if (home := told.get("home", "")).startswith("/") else "",
        cores=number(told.get("cores", "")),
        memory_megabytes=megabytes(told.get("MemTotal:", "").removesuffix(" kB"), "k"),
        gpus=number(told.get("gpus", "")),
        programs=frozenset(value.strip() for name, value in lines if name == "program") & set(PROGRAMS),
        mpiexec=told.get("mpiexec", ""),
        flux=told.get("flux") == "here",
    )


def guess(site: Site, facts: Facts) -> Site:
    """The site with all that was left open and that the facts tell; what it says itself stays."""
    settings = site.scheduler
    kind = settings.kind or guess_scheduler(facts)
    return structs.replace(
        site,
        work=site.work or (f"{facts.home}/.cwlbalsam/work" if facts.home else ""),
        scheduler=structs.replace(settings, kind=kind),
        mpi=structs.replace(site.mpi, launcher=site.mpi.launcher or guess_launcher(kind, facts)),
        containers=site.containers or _present(facts, {name: engine.BINARIES for name, engine in ENGINES.items()}),
        transfers=_ways(site, facts),
        nodes=site.nodes if kind != "local" else _of_machine(site.nodes, facts),
    )


def guess_scheduler(facts: Facts) -> str:
    if facts.flux:
        return "flux"
    found = (kind for kind, programs in SCHEDULER_PROGRAMS.items() if facts.programs.issuperset(programs))
    return next(found, "local")


def guess_launcher(kind: str, facts: Facts) -> str:
    """ "" if nothing starts MPI programs here. kind: of the scheduler."""
    own = next((name for name in OWN_LAUNCHERS if name in facts.programs), "")
    if own or kind == "flux":
        return own or "flux"
    if kind == "slurm" and "srun" in facts.programs:
        return "srun"
    return next((name for name, words in MPIEXEC_WORDS.items() if re.search(words, facts.mpiexec)), "")


def with_machine(site: Site, state: MachineState) -> Site:
    """The site with nodes as most nodes of its queue are, where it does not say it itself."""
    queue = site.scheduler.queue
    shapes = [shape for shape in state.shapes if not queue or not shape.queues or queue in shape.queues]
    if not shapes:
        return site
    most, nodes = shapes[0], site.nodes
    told = NodeSettings(
        cores=nodes.cores or most.cores,
        memory_megabytes=nodes.memory_megabytes or most.memory_megabytes,
        gpus=nodes.gpus or most.gpus,
    )
    return structs.replace(site, nodes=told)


def _ways(site: Site, facts: Facts) -> TransferSettings:
    """Between sites on one machine files are never moved."""
    if site.transfers.ways or not site.host:
        return site.transfers
    return structs.replace(site.transfers, ways=_present(facts, TRANSFER_PROGRAMS))


def _of_machine(nodes: NodeSettings, facts: Facts) -> NodeSettings:
    return NodeSettings(
        cores=nodes.cores or facts.cores,
        memory_megabytes=nodes.memory_megabytes or facts.memory_megabytes,
        gpus=nodes.gpus or facts.gpus,
    )


def _present(facts: Facts, programs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for name, any_of in programs.items() if facts.programs.intersection(any_of))
