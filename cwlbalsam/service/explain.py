"""Why a job stands where it stands: what it waits for, or what went wrong, and how to try it again by hand."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.command_jobs import grant_of, process_of
from cwlbalsam.cwl.records import Process
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.errors import JobError, UserError
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.jobs.commands import COMMAND, PORT, decode_command
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.names import job_directory, step_of
from cwlbalsam.jobs.references import Const, unpack_trees
from cwlbalsam.service.command_line import shell_line
from cwlbalsam.service.job_inputs import inputs_of
from cwlbalsam.service.kept_plan import read_plan
from cwlbalsam.service.kept_plan import reasons as plan_reasons
from cwlbalsam.service.options import Asked, RunOptions
from cwlbalsam.service.runs import FAILED_STATES, Ending, ending_of, liveness, stored_program
from cwlbalsam.service.settings import choose_machine
from cwlbalsam.store import Store, StoredJob

MANY = 10
SCRIPTED = {State.STAGED_IN: "preprocess", State.RUN_DONE: "postprocess"}


class Explanation(Struct, kw_only=True):
    """reasons: sentences, the first one the most telling. place: where the document defines the job's process.

    directory: of its last attempt, "" if there is none any more; inputs: port -> value as short JSON; shell: the
    command line to try again, "" if none was kept. asks: None if that is evaluated for each job.
    """

    job: StoredJob
    ending: Ending
    verdict: str
    reasons: list[str]
    tool: str = ""
    place: str = ""
    directory: str = ""
    asks: Grant | None = None
    inputs: dict[str, str] = {}
    shell: str = ""
    plan: list[str] = []


def find_job(store: Store, run: RunRecord, wanted: str) -> StoredJob:
    """By name or number; without either, the first that failed, else that runs, else that waits. Raises UserError."""
    if wanted:
        try:
            return store.job(run.id, wanted)
        except LookupError:
            pass
        try:
            return store.job(run.id, int(wanted)) if wanted.isdecimal() else _no_job(run, wanted)
        except LookupError:
            return _no_job(run, wanted)
    for states in (
        FAILED_STATES,
        {State.RUNNING, *SCRIPTED},
        {State.USER_KILLED},
        {State.READY, State.RESTART_READY, State.AWAITING_PARENTS},
    ):
        found = store.jobs(run.id, states)
        if found:
            return next((job for job in found if job.kind == "job"), found[0])
    raise UserError(
        f"nothing has failed in run {short_run_id(run.id)}, and nothing waits", hint="name a job to have it explained"
    )


def _no_job(run: RunRecord, wanted: str) -> StoredJob:
    hint = f"`cwlbalsam show {short_run_id(run.id)} --jobs` lists the jobs"
    raise UserError(f"no job '{wanted}' in run {short_run_id(run.id)}", hint=hint)


def explain_job(store: Store, run: RunRecord, job: StoredJob) -> Explanation:
    """All that is known of a job."""
    ending = ending_of(job)
    found = Explanation(job=job, ending=ending, verdict=_verdict(job, ending), reasons=[])
    program = stored_program(store, run)
    process = process_of(program, job.process) if program else None
    if process is not None:
        found.tool, found.place = process.id, process.place
        found.inputs = inputs_of(store, run, job, process)
        if job.kind == "job":
            found.asks = _grant(process, job)
    directory = job_directory(str(Path(run.directory, "jobs")), job.id, job.attempt)
    found.directory = directory if Path(directory).is_dir() else ""
    if ending.command is not None:
        found.shell = shell_line(ending.command)
    found.reasons = list(_reasons(store, run, job, found))
    if job.kind == "job" and (plan := read_plan(Path(run.directory))) is not None:
        found.plan = plan_reasons(plan, job.name)
    return found


def _verdict(job: StoredJob, ending: Ending) -> str:
    match job.state:
        case State.JOB_FINISHED:
            return "skipped" if ending.ending == "skipped" else "done"
        case State.FAILED | State.RUN_ERROR | State.RUN_TIMEOUT:
            return "timed out" if ending.ending == "timeout" else "failed"
        case State.PARENT_KILLED:
            return "never ran"
        case State.USER_KILLED:
            return "cancelled"
        case State.RUNNING:
            return "runs"
    return "waits"


def _grant(process: Process, job: StoredJob) -> Grant | None:
    if job.process == COMMAND:
        tree = unpack_trees(job.inputs)[PORT]
        return grant_of(decode_command(tree.value)) if isinstance(tree, Const) else None
    try:
        return static_grant(process)
    except JobError:
        return None


# --- reasons -------------------------------------------------------------------------------------------------------


def _reasons(store: Store, run: RunRecord, job: StoredJob, found: Explanation) -> Iterator[str]:
    ending = found.ending
    match found.verdict:
        case "failed" | "timed out":
            yield ending.error or job.message or "no reason was kept"
            if ending.exit_code is not None and ending.exit_code < 0:
                yield _signal_reason(-ending.exit_code)
            elif ending.command is None and found.job.kind == "job":
                yield "no command was started: it failed before that"
        case "skipped":
            yield "the step's `when` was false"
        case "never ran":
            yield from _failed_ancestors(store, run, job)
        case "cancelled":
            yield "the run was stopped while this job ran" if ending.started else "the run was stopped before it ran"
        case "runs" | "waits":
            yield from _waiting(store, run, job, found)


def _signal_reason(number: int) -> str:
    if number == 9:
        return "it was killed from outside: by the kernel if memory ran out (see `dmesg`), or by someone"
    if number in {4, 7, 8, 11}:
        return "the program crashed: a fault of its own, or of a file that it was given"
    return f"signal {number} ended it"


def _failed_ancestors(store: Store, run: RunRecord, job: StoredJob) -> Iterator[str]:
    jobs = {one.id: one for one in store.jobs(run.id, {*FAILED_STATES, State.PARENT_KILLED, State.USER_KILLED})}
    roots = [jobs[number] for number in _above(store.edges(run.id), job.id, jobs) if _is_root(jobs[number])]
    names = ", ".join(f"'{one.name}'" for one in roots[:MANY])
    more = f" and {len(roots) - MANY} more" if len(roots) > MANY else ""
    yield f"what it needs was never made: {names}{more} failed" if roots else job.message or "a parent failed"


def _is_root(job: StoredJob) -> bool:
    return job.state in FAILED_STATES or job.state is State.USER_KILLED


def _above(edges: Iterable[tuple[int, int]], start: int, among: dict[int, StoredJob]) -> list[int]:
    """The ancestors within `among`, nearest first; nothing above one that is a root or runs a command is looked at."""
    parents: dict[int, list[int]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)
    seen: dict[int, None] = {}
    queue = deque([start])
    while queue:
        for parent in parents.get(queue.popleft(), []):
            if parent in among and parent not in seen:
                seen[parent] = None
                if not (
                    _is_root(among[parent]) or (among[parent].state is not State.PARENT_KILLED and _acts(among[parent]))
                ):
                    queue.append(parent)
    return list(seen)


def _acts(job: StoredJob) -> bool:
    return job.kind == "job"


def _waiting(store: Store, run: RunRecord, job: StoredJob, found: Explanation) -> Iterator[str]:
    if run.status != "running":
        yield f"the run has ended as {run.status}; `cwlbalsam resume {short_run_id(run.id)}` goes on with it"
    elif liveness(run) == "gone":
        yield f"the run's process ({run.pid}) is gone; `cwlbalsam resume {short_run_id(run.id)}` goes on with it"
    if job.state is State.RUNNING and found.directory:
        yield "its command is being run, or about to be"
        return
    if job.state in SCRIPTED:
        yield f"its {SCRIPTED[job.state]} script is being run, or about to be"
        return
    if job.waiting_for:
        yield from _unfinished_parents(store, run, job)
    elif run.status == "running":
        yield "nothing that it needs is missing: it starts as soon as the machine has room for it"
    yield from _room(run, found.asks)


def _unfinished_parents(store: Store, run: RunRecord, job: StoredJob) -> Iterator[str]:
    jobs = {one.id: one for one in store.jobs(run.id)}
    undone = {number: one for number, one in jobs.items() if one.state is not State.JOB_FINISHED}
    above = [undone[number] for number in _above(store.edges(run.id), job.id, undone)]
    acting = [one for one in above if _acts(one)] or above
    steps: dict[str, Counter[str]] = {}
    for one in acting:
        steps.setdefault(step_of(one.name), Counter())[one.state.name] += 1
    for name, states in list(steps.items())[:MANY]:
        text = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
        yield f"it waits for '{name}': {text}"
    if len(steps) > MANY:
        yield f"it waits for {len(steps) - MANY} more steps"


def _room(run: RunRecord, asks: Grant | None) -> Iterator[str]:
    """What a waiting job asks for, against what the run may take of this machine."""
    if asks is None:
        yield "what it asks of the machine is evaluated when its inputs are known"
        return
    machine = run_machine(run)
    if machine is None:
        yield f"it asks for {grant_text(asks)}"
        return
    has = f"{machine.cores:g} cores, {machine.ram:,.0f} MiB of memory, {machine.tmpdir:,.0f} MiB of space"
    yield f"it asks for {grant_text(asks)}; the run has {has}"
    try:
        Capacity(machine).check(asks)
    except JobError as error:
        yield f"it can never start here: {error}"


def run_machine(run: RunRecord) -> Machine | None:
    """What the run may take of this machine, now; None if its folder is gone."""
    try:
        options = msgspec.msgpack.decode(run.options, type=Asked).options if run.options else RunOptions()
        return choose_machine(options, Path(run.directory))
    except (OSError, msgspec.DecodeError):
        return None


def grant_text(grant: Grant) -> str:
    """2 cores, 256 MiB of memory, 2,048 MiB of space."""
    gpus = f", {grant.gpus} GPUs" if grant.gpus else ""
    cores = "1 core" if grant.cores == 1 else f"{grant.cores:g} cores"
    return f"{cores}, {grant.ram:,.0f} MiB of memory, {grant.tmpdir + grant.outdir:,.0f} MiB of space{gpus}"
