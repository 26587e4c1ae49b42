from hypothesis import given, settings

from cwlbalsam.planner.compact import make_compact
from cwlbalsam.planner.problem import Problem
from cwlbalsam.planner.record import record
from cwlbalsam.planner.schedule import first_draft
from cwlbalsam.planner.timing import Timing
from tests.planner.problems import problems


@settings(deadline=None)
@given(problems())
def test_a_plan_has_the_times_that_the_search_has_reckoned_with(problem: Problem) -> None:
    compact = make_compact(problem)
    draft = first_draft(compact)
    timing = Timing(compact)
    makespan = timing.run(draft.order, draft.choice)
    plan = record(compact, draft.order, draft.choice)
    assert plan.makespan == makespan
    assert [one.start for one in plan.placements] == timing.starts


@settings(deadline=None)
@given(problems())
def test_a_wait_names_what_ends_when_the_job_starts(problem: Problem) -> None:
    compact = make_compact(problem)
    draft = first_draft(compact)
    plan = record(compact, draft.order, draft.choice)
    arrivals = {(one.data, one.target): one.end for one in plan.transfers}
    for job, placed in enumerate(plan.placements):
        match placed.wait:
            case "nothing":
                assert placed.start == 0
            case "time":
                assert placed.start == problem.jobs[job].not_before
            case "nodes" | "job":
                assert placed.start == plan.placements[placed.waits_for].end
            case "transfer":
                assert placed.start == arrivals[placed.waits_for, placed.site]
            case "window":
                assert placed.start == problem.sites[placed.site].windows[placed.window].opens
