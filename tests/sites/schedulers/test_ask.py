"""Asking a scheduler: what is retried, what is an error, in whose words."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.batch import BatchState
from cwlbalsam.sites.schedulers import SCHEDULERS, ask, lsf, pbs, slurm
from cwlbalsam.sites.schedulers.ask import NO_COMMAND, TOO_LONG, Answer, Site
from cwlbalsam.sites.schedulers.base import Scheduler
from tests.sites.schedulers.recorded import KINDS, recorded

BUSY = Answer(1, "", "sbatch: error: Socket timed out on send/recv operation")


class Scripted:
    """Gives the answers in turn, the last one for ever. asked: the commands so far."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    async def __call__(self, command: Sequence[str], seconds: float) -> Answer:
        self.asked.append(list(command))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def site(*answers: Answer, scheduler: Scheduler = slurm) -> tuple[Site, Scripted]:
    run = Scripted(*answers)
    return Site(scheduler=scheduler, run=run, pauses=(0.0, 0.0)), run


def test_a_submission_gives_the_batch_id() -> None:
    place, run = site(Answer(0, "77\n", ""))
    assert asyncio.run(ask.submit(place, "/a b/x.sh", "pilot")) == "77"
    assert run.asked == [["sbatch", "--parsable", "/a b/x.sh"]]


def test_a_refused_submission_is_an_error_in_the_schedulers_words_and_is_not_repeated() -> None:
    words = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    place, run = site(Answer(1, "", words))
    with pytest.raises(
        UserError, match=r"'pilot' was not submitted: sbatch ended with code 1\s+sbatch: error: .*account"
    ):
        asyncio.run(ask.submit(place, "x.sh", "pilot"))
    assert len(run.asked) == 1


def test_a_busy_controller_is_asked_again() -> None:
    place, run = site(BUSY, Answer(0, "", ""), Answer(0, "78\n", ""))
    assert asyncio.run(ask.submit(place, "x.sh", "pilot")) == "78"
    assert [command[0] for command in run.asked if command[0] == "sbatch"] == ["sbatch", "sbatch"]


def test_a_submission_whose_answer_got_lost_is_found_by_its_name_and_not_repeated() -> None:
    listed = "9|RUNNING|1|3:00|batch|me|1|1|1|1|None|1|other\n79|PENDING|1|3:00|batch|me|1|N/A|N/A|1|None|1|pilot\n"
    place, run = site(BUSY, Answer(0, listed, ""))
    assert asyncio.run(ask.submit(place, "x.sh", "pilot")) == "79"
    assert sum("sbatch" in command for command in run.asked) == 1


def test_a_controller_that_stays_busy_is_an_error_in_the_end() -> None:
    place, run = site(BUSY)
    with pytest.raises(UserError, match="Socket timed out"):
        asyncio.run(ask.submit(place, "x.sh", "pilot"))
    assert sum("sbatch" in command for command in run.asked) == 3


def test_success_without_a_batch_id_is_an_error() -> None:
    place, _ = site(Answer(0, "all is well\n", ""))
    with pytest.raises(UserError, match="all is well"):
        asyncio.run(ask.submit(place, "x.sh", "pilot"))


def test_states_of_forgotten_batch_jobs_are_looked_up_in_the_records_and_else_unknown() -> None:
    place, run = site(Answer(0, "1|RUNNING|None\n", ""), Answer(0, "2|CANCELLED by 0\n", ""))
    states = asyncio.run(ask.statuses(place, ["1", "2", "3"]))
    assert states == {"1": BatchState.RUNNING, "2": BatchState.FAILED, "3": BatchState.UNKNOWN}
    assert "--jobs=2,3" in run.asked[1]


def test_a_single_forgotten_batch_job_is_no_error() -> None:
    place, _ = site(Answer(1, "", "slurm_load_jobs error: Invalid job id specified"))
    assert asyncio.run(ask.statuses(place, ["1"])) == {"1": BatchState.UNKNOWN}


def test_a_controller_that_is_down_is_an_error_and_not_the_end_of_all_batch_jobs() -> None:
    place, _ = site(Answer(1, "", "squeue: error: Unable to contact slurm controller (connect failure)"))
    with pytest.raises(UserError, match="Unable to contact slurm controller"):
        asyncio.run(ask.statuses(place, ["1"]))


def test_states_of_some_are_kept_though_others_are_forgotten() -> None:
    answer = Answer(35, recorded("pbs", "status"), "qstat: 9.p Unknown Job Id")
    place, _ = site(answer, scheduler=pbs)
    assert asyncio.run(ask.statuses(place, ["1.p", "9.p"])) == {"1.p": BatchState.RUNNING, "9.p": BatchState.UNKNOWN}


def test_many_batch_ids_are_asked_for_in_several_commands() -> None:
    place, run = site(Answer(0, "", ""))
    asyncio.run(ask.statuses(place, [str(number) for number in range(1201)]))
    assert len([command for command in run.asked if command[0] == "squeue"]) == 3


def test_cancelling_what_has_ended_is_no_error_but_other_failures_are() -> None:
    gone, _ = site(Answer(255, "", "Job <5> : Job has already finished"), scheduler=lsf)
    asyncio.run(ask.cancel(gone, ["5"]))
    silent, _ = site(Answer(1, "", ""), Answer(0, "5|COMPLETED|None\n", ""))
    asyncio.run(ask.cancel(silent, ["5"]))
    denied, _ = site(Answer(255, '{"RECORDS":[{"JOBID":"5","STAT":"RUN"}]}', "User permission denied"), scheduler=lsf)
    with pytest.raises(UserError, match="permission denied"):
        asyncio.run(ask.cancel(denied, ["5"]))


def test_a_command_that_hangs_is_ended_with_all_that_it_started() -> None:
    began = time.monotonic()
    answer = asyncio.run(ask.run_here(["sh", "-c", "sleep 100 & sleep 100"], 0.2))
    assert answer.code == TOO_LONG
    assert time.monotonic() - began < 50


def test_a_scheduler_that_hangs_is_a_clear_error() -> None:
    place, _ = site(Answer(TOO_LONG, "", "no answer within 60 seconds"))
    with pytest.raises(UserError, match=r"sbatch gave no answer\n.*60 seconds"):
        asyncio.run(ask.earliest_start(place, "x.sh"))


def test_a_missing_command_is_a_clear_error() -> None:
    answer = asyncio.run(ask.run_here(["no-such-command-at-all"], 5))
    assert answer.code == NO_COMMAND
    place, _ = site(answer, scheduler=lsf)
    with pytest.raises(UserError, match="bsub is not to be had"):
        asyncio.run(ask.submit(place, "x.sh", "pilot"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_machines_state_is_read_from_recorded_output(kind: str) -> None:
    scheduler = SCHEDULERS[kind]
    commands = {
        tuple(scheduler.nodes_command()): "nodes",
        tuple(scheduler.queues_command()): "queues",
        tuple(scheduler.jobs_command()): "jobs",
        tuple(scheduler.reservations_command()): "reservations",
    }

    async def run(command: Sequence[str], seconds: float) -> Answer:
        return Answer(0, recorded(kind, commands[tuple(command)]), "")

    state = asyncio.run(ask.machine(Site(scheduler=scheduler, run=run)))
    assert state.nodes == sum(shape.count for shape in state.shapes) >= 1
    assert 0 <= state.free <= state.nodes
    assert all(job.nodes >= 1 for job in state.jobs)


def test_nodes_of_a_batch_job_that_tells_its_cores_only_are_counted_by_the_largest_node() -> None:
    async def run(command: Sequence[str], seconds: float) -> Answer:
        what = "jobs" if "bjobs" in command else "queues" if "bqueues" in command else "nodes"
        return Answer(0, "" if "brsvs" in command else recorded("lsf", what), "")

    state = asyncio.run(ask.machine(Site(scheduler=lsf, run=run)))
    assert {job.name: job.nodes for job in state.jobs if job.name} == {"fit": 2, "wide": 10}
