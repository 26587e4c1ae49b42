"""Random problems, for hypothesis."""

import math

from hypothesis import strategies as st

from cwlbalsam.planner.problem import Constraints, Data, Duration, Job, Link, Option, Problem, Site, Window, Work

NUMBERS = st.integers(1, 40).map(float)


@st.composite
def sites(draw: st.DrawFn, most: int = 3) -> tuple[Site, ...]:
    """The first always has a window that never closes."""
    made = []
    for number in range(draw(st.integers(1, most))):
        windows = [Window(draw(st.integers(1, 4)), opens=draw(st.sampled_from([0.0, 0.0, 7.0])))]
        if draw(st.booleans()):
            opens = float(draw(st.integers(0, 30)))
            windows.append(Window(draw(st.integers(1, 4)), opens=opens, closes=opens + draw(NUMBERS)))
        made.append(Site(f"site{number}", tuple(windows), cores=draw(st.sampled_from([1, 2, 4]))))
    return tuple(made)


@st.composite
def works(draw: st.DrawFn, places: tuple[Site, ...]) -> Work:
    """Runs on one node of the first site at least."""
    options = [Option(0, Duration(draw(NUMBERS), draw(st.sampled_from([0.0, 0.5]))))]
    for _ in range(draw(st.integers(0, 4))):
        site = draw(st.integers(0, len(places) - 1))
        cores = draw(st.integers(0, places[site].cores))
        options.append(Option(site, Duration(draw(NUMBERS)), nodes=draw(st.integers(0, 3)), cores=cores))
    return Work("work", tuple(options))


@st.composite
def problems(draw: st.DrawFn, most_jobs: int = 12, shared: bool | None = None) -> Problem:
    """Solvable ones, without budgets and deadlines."""
    places = draw(sites())
    kinds = tuple(draw(st.lists(works(places), min_size=1, max_size=3)))
    jobs: list[Job] = []
    data: list[Data] = []
    for number in range(draw(st.integers(1, most_jobs))):
        some = draw(st.sets(st.integers(0, max(len(data) - 1, 0)), max_size=3)) if data else set()
        after = draw(st.sets(st.integers(0, number - 1), max_size=1)) if number else set()
        inputs = sorted(some)
        if draw(st.booleans()):
            data.append(Data(float(draw(st.integers(0, 100))), sites=(draw(st.integers(0, len(places) - 1)),)))
            inputs.append(len(data) - 1)
        early = draw(st.sampled_from([0.0, 0.0, 0.0, 11.0]))
        jobs.append(Job(f"job{number}", draw(st.integers(0, len(kinds) - 1)), tuple(inputs), tuple(after), early))
        data += [Data(float(draw(st.integers(0, 100))), number) for _ in range(draw(st.integers(0, 2)))]
    pairs = [(a, b) for a in range(len(places)) for b in range(len(places)) if a != b]
    share = draw(st.booleans()) if shared is None else shared
    links = tuple(Link(a, b, draw(NUMBERS), draw(st.sampled_from([0.0, 1.0])), shared=share) for a, b in pairs)
    always_open = all(
        len(site.windows) == 1 for site in places
    )  # else the smallest size may fit none but a short window
    floor = draw(st.sampled_from([0.0, 0.0, 0.5, 0.9])) if always_open else 0.0
    return Problem(
        jobs=tuple(jobs),
        works=kinds,
        sites=places,
        data=tuple(data),
        links=links,
        constraints=Constraints(min_efficiency=floor, deadline=math.inf),
        quantile=draw(st.sampled_from([0.5, 0.9])),
    )
