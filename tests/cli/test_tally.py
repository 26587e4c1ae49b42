from cwlbalsam.cli.tally import Tally
from cwlbalsam.executor.events import JobEnded, JobKept, JobsAdded, JobStarted


def test_the_elements_of_all_scatters_are_counted_with_their_step() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(3, {"align/sort": 2, "sum": 1}))
    for job, name in enumerate(["align[0]/sort", "align[1]/sort[2,3]"]):
        tally.start(JobStarted(name, job), 1.0)
    tally.start(JobStarted("align[0]/sort", 0), 1.0)  # its worker was lost, and it has started again
    assert (tally.steps["align/sort"].running, tally.whole.running) == (2, 2)
    tally.end(JobEnded("align[0]/sort", 0, "failed"), 2.0)
    tally.end(JobEnded("align[1]/sort", 1, "skipped"), 2.0)
    tally.end(JobEnded("sum", 2, "killed"), 2.0)  # it never started
    step, last = tally.steps["align/sort"], tally.steps["sum"]
    assert (step.failed, step.skipped, step.running, step.ended) == (1, 1, 0, 2)
    assert (last.killed, last.running, tally.whole.ended) == (1, 0, 3)


def test_the_rest_follows_the_rate_of_the_last_seconds() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(1000, {"s": 1000}))
    assert tally.rest(5.0) is None
    for number in range(400):  # ten a second, then forty
        now = number / 10 if number < 200 else 20 + (number - 200) / 40
        tally.end(JobEnded(f"s[{number}]", number, "done"), now)
    assert 20 < tally.rate(25.0) < 35
    rest = tally.rest(25.0)
    assert rest is not None and 600 / 35 < rest < 600 / 20


def test_what_a_resumed_run_has_from_before_is_done_but_no_sign_of_speed() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(101, {"s": 101}))
    for number in range(99):
        tally.keep(JobKept(f"s[{number}]", number))
    tally.end(JobEnded("s[99]", 99, "done"), 10.0)
    assert tally.whole.done == 100 and tally.rest(10.0) == 10.0


def test_of_a_run_that_stops_nobody_knows_the_rest() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(2, {"s": 2}))
    tally.end(JobEnded("s[0]", 0, "done"), 5.0)
    assert tally.rest(5.0) == 5.0
    tally.stopping = True
    assert tally.rest(5.0) is None


def test_one_job_in_a_long_time_still_has_a_rate() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(2, {"s": 2}))
    tally.end(JobEnded("s[0]", 0, "done"), 600.0)
    assert tally.rest(900.0) == 900.0


def test_nothing_is_kept_of_jobs_that_have_ended() -> None:
    tally = Tally(0.0)
    tally.add(JobsAdded(100_000, {"s": 100_000}))
    for number in range(100_000):
        tally.start(JobStarted(f"s[{number}]", number), number / 5000)
        tally.end(JobEnded(f"s[{number}]", number, "done"), number / 5000)
    assert tally.whole.done == 100_000 and not tally._running and len(tally._marks) < 100
