"""What the performance models learn from: the jobs of all runs in the store, and what was imported."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.errors import JobError, UserError, did_you_mean
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.jobs.references import NULL, Elements, pack_array, resolve, unpack_trees
from cwlbalsam.planner.models.book import Book, Page, decode_book, encode_book, merged
from cwlbalsam.planner.models.observation import Observation, Prior, Setting, hinted_prior
from cwlbalsam.service.home import Home
from cwlbalsam.service.runs import stored_program
from cwlbalsam.store import Store, StoredJob

SITE = "local"
DIGITS = 12
LARGEST_COUNT = 1 << 30


class Ended(Struct):
    """The part of an `Outcome` that models learn from."""

    ending: str = ""
    started: float = 0.0
    ended: float = 0.0
    peak_memory_bytes: int = 0
    reused: bool = False
    site: str = ""
    outputs: dict[str, Raw] = {}


_endings = msgspec.msgpack.Decoder(Ended)


# --- the book of all models ----------------------------------------------------------------------------------------


def read_book(store: Store, home: Home) -> Book:
    """What was imported, whose beliefs win over a document's hints, and what the runs of the store showed.

    Raises UserError if the imports cannot be read.
    """
    return merged(imported(home), observed(store))


def imported(home: Home) -> Book:
    """What was imported so far."""
    return read_export(home.models) if home.models.exists() else Book()


def read_export(path: Path) -> Book:
    """Raises UserError if the file cannot be read or is no export of a known version."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return decode_book(data, str(path))


def import_book(home: Home, book: Book) -> None:
    """Keeps the observations of another home, beside those that were imported before."""
    whole = encode_book(merged(imported(home), book))
    new = home.models.with_suffix(".new")
    try:
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        new.write_bytes(whole)
        new.replace(home.models)
    except OSError as error:
        raise UserError(f"cannot write {home.models}: {error.strerror}") from error


def find_page(book: Book, wanted: str) -> Page:
    """By name or the first characters of the key. Raises UserError if there is not exactly one."""
    found = [page for page in book.pages if wanted and (page.name == wanted or page.key.startswith(wanted))]
    exact = [page for page in found if page.key == wanted]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if not found:
        hint = did_you_mean(wanted, {page.name for page in book.pages}, "`cwlbalsam models ls` lists them")
        raise UserError(f"no application '{wanted}' has run", hint=hint)
    listed = "\n".join(f"{page.key[:DIGITS]}  {page.name}" for page in found[:10])
    raise UserError(f"{len(found)} applications are named '{wanted}'", hint=f"take one by its key:\n{listed}")


# --- what runs showed ----------------------------------------------------------------------------------------------


def observed(store: Store, wanted: Collection[str] = (), most: int = 0) -> Book:
    """Every tool that ran, each of its jobs that ended well or by its time limit; the oldest run first.

    wanted: digests of tools: only of the last runs, `most` at most, that could have some of them.
    """
    pages: dict[str, tuple[ToolProcess, list[Observation]]] = {}
    programs: dict[str, Program | None] = {}
    for run in _runs_with(store, wanted, most) if wanted else reversed(store.runs()):
        if run.program not in programs:
            programs[run.program] = stored_program(store, run)
        program = programs[run.program]
        if program is None:
            continue
        for tool, observation in run_observations(store, run, program):
            pages.setdefault(tool.digest, (tool, []))[1].append(observation)
    return Book(
        pages=tuple(
            Page(key=key, name=tool.id, prior=prior_of(tool), observations=tuple(found))
            for key, (tool, found) in pages.items()
        )
    )


def _runs_with(store: Store, wanted: Collection[str], most: int) -> list[RunRecord]:
    """The oldest first."""
    known: dict[str, bool] = {}
    found: list[RunRecord] = []
    for run in store.runs():
        if run.program not in known:
            program = stored_program(store, run)
            tools = [one for one in (program.processes if program else ()) if isinstance(one, ToolProcess)]
            known[run.program] = any(tool.digest in wanted for tool in tools)
        if known[run.program]:
            found.append(run)
            if len(found) == most:
                break
    return found[::-1]


def run_observations(store: Store, run: RunRecord, program: Program) -> Iterator[tuple[ToolProcess, Observation]]:
    """Of one run. Results that were taken over from earlier runs are left out: nothing ran."""
    jobs = {job.id: job for job in store.jobs(run.id)}
    lookup = outputs_of(jobs, store.edges(run.id))
    elements = Elements(lookup)
    for job in jobs.values():
        if job.kind != "job" or not job.outcome or job.process >= len(program.processes):
            continue
        tool, ended = program.processes[job.process], _endings.decode(job.outcome)
        seconds = ended.ended - ended.started
        if not isinstance(tool, ToolProcess) or ended.reused or not ended.started or seconds <= 0:
            continue
        if ended.ending not in {"done", "timeout"}:
            continue
        values: dict[str, Any] = {}
        for name, tree in unpack_trees(job.inputs).items():
            if name not in tool.requirements.secrets:
                with suppress(JobError, LookupError, RecursionError, msgspec.DecodeError):
                    values[name] = msgspec.msgpack.decode(resolve(tree, lookup, elements))
        yield (
            tool,
            Observation(
                setting=setting_of(tool, values, ended.site or SITE),
                wall_seconds=seconds,
                output_bytes=float(min(size_of(_decoded(ended.outputs)), 1 << 80)),
                peak_memory_bytes=float(max(ended.peak_memory_bytes, 0)),
                censored=ended.ending == "timeout",
            ),
        )


def outputs_of(jobs: Mapping[int, StoredJob], edges: Iterable[tuple[int, int]]) -> Callable[[int, str], Raw]:
    """Finds the value of a finished job's port. Jobs that only structure the DAG have no outcome: theirs is what their
    inputs come to or, where a scatter grew while the run went on, the array of what its jobs made. Raises LookupError
    for what a loop or a conditional workflow gathered: that is not kept.
    """
    known: dict[int, dict[str, Raw]] = {}
    parents: dict[int, list[int]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)

    def lookup(number: int, port: str) -> Raw:
        job = jobs[number]
        if number not in known:
            made = _endings.decode(job.outcome).outputs if job.outcome else {}
            known[number] = made or {name: resolve(tree, lookup) for name, tree in unpack_trees(job.inputs).items()}
        values = known[number]
        if port not in values and job.kind == "gather":
            above = [jobs[one] for one in sorted(parents.get(number, []))]
            calls = [one.id for one in above if one.name.startswith(f"{job.name}[") and one.kind != "loop"]
            if not calls and not any(one.kind == "scatter" for one in above):
                raise LookupError(number)
            values[port] = pack_array([lookup(one, port) for one in calls])
        return values.get(port, NULL)

    return lookup


def _decoded(outputs: Mapping[str, Raw]) -> list[Any]:
    return [msgspec.msgpack.decode(raw) for raw in outputs.values()]


def setting_of(tool: ToolProcess, values: dict[str, Any], site: str = SITE) -> Setting:
    """values: the inputs of a job. Counts that are expressions, evaluated where the job runs, are not known here: 1."""
    threads, mpi = tool.requirements.resources.cores_min, tool.requirements.mpi
    ranks = mpi.processes if mpi is not None else 1
    return Setting(
        input_bytes=float(min(sum(map(size_of, values.values())), 1 << 80)),
        numbers={name: number for name, value in values.items() if (number := number_of(value)) is not None},
        ranks=min(max(ranks, 1), LARGEST_COUNT) if isinstance(ranks, int) else 1,
        threads=min(max(round(threads), 1), LARGEST_COUNT) if isinstance(threads, (int, float)) else 1,
        site=site,
    )


def number_of(value: Any) -> float | None:
    """Numbers count themselves, arrays their length; nothing else is a number."""
    if isinstance(value, list):
        return float(len(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e30 else None


def size_of(value: Any) -> int:
    """Bytes of all files in a value."""
    match value:
        case {"class": "File"}:
            size = value.get("size")
            own = size if isinstance(size, int) and size > 0 else 0
            return own + size_of(value.get("secondaryFiles") or [])
        case {"class": "Directory"}:
            return size_of(value.get("listing") or [])
        case dict():
            return sum(map(size_of, value.values()))
        case list():
            return sum(map(size_of, value))
    return 0


def prior_of(tool: ToolProcess) -> Prior:
    """What the document's limits tell before any job ran."""
    limit, ram = tool.requirements.time_limit, tool.requirements.resources.ram_min
    return hinted_prior(
        float(limit) if isinstance(limit, (int, float)) else 0.0, float(ram) if isinstance(ram, (int, float)) else 0.0
    )
