from cwlbalsam.planner.gantt import chart
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.problem import Duration, Job, Option, Problem, Site, Window, Work
from cwlbalsam.planner.schedule import make_plan

PROBLEM = Problem(
    jobs=(Job("a", 0), Job("b", 0), Job("c", 1, after=(0, 1)), Job("note", 2, after=(2,))),
    works=(
        Work("align", (Option(0, Duration(10.0), cores=1),)),
        Work("sum", (Option(0, Duration(30.0), cores=1),)),
        Work("gather", (Option(0, Duration(0.0), nodes=0),)),
    ),
    sites=(Site("here", (Window(1),), cores=2),),
)


def test_a_row_a_work_and_a_row_a_site() -> None:
    lines = chart(PROBLEM, make_plan(PROBLEM, Effort(evaluations=0)), width=74)
    assert lines == [
        f"{'align x 2':32} " + "█" * 10,
        f"{'sum':32} " + " " * 10 + "█" * 30,
        f"{'here: 2 cores':32} " + "█" * 10 + "▄" * 30,
    ]


def test_long_names_are_cut_and_short_works_left_out() -> None:
    works = tuple(Work(f"{'w' * 50}{n}", (Option(0, Duration(float(n + 1))),)) for n in range(9))
    problem = Problem(jobs=tuple(Job(f"job{n}", n) for n in range(9)), works=works, sites=(Site("here", (Window(1),)),))
    lines = chart(problem, make_plan(problem, Effort(evaluations=0)), width=80, most=5)
    assert len(lines) == 7
    assert lines[5] == "... and 4 more"
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("w" * 31 + "…")


def test_a_plan_of_no_time_is_drawn() -> None:
    problem = Problem(jobs=(Job("a", 2),), works=PROBLEM.works, sites=PROBLEM.sites)
    assert chart(problem, make_plan(problem)) == []
