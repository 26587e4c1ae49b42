"""What the constraints rule out before anything is planned: options that no window, software or efficiency allows."""

from cwlbalsam.planner.problem import Infeasible, Problem, Site, Work


def usable_options(problem: Problem, work: Work) -> list[int]:
    """Options that fit a window of their site with the work's software, and are efficient enough."""
    fits = [index for index, one in enumerate(work.options) if _fits(problem, work, index)]
    if not fits:
        raise _fits_nowhere(problem, work)
    floor = problem.constraints.min_efficiency
    smallest: dict[int, tuple[float, float]] = {}
    for index in fits:
        option = work.options[index]
        size = option.nodes * (option.cores or problem.sites[option.site].cores)
        mine = size, cost(problem, work, index)
        smallest[option.site] = min(smallest.get(option.site, mine), mine)
    allowed = {site: cost * (1 + 1e-12) for site, (_, cost) in smallest.items()}
    return [index for index in fits if cost(problem, work, index) * floor <= allowed[work.options[index].site]]


def _fits(problem: Problem, work: Work, index: int) -> bool:
    option = work.options[index]
    site = problem.sites[option.site]
    seconds = option.seconds.quantile(problem.quantile)
    large = not option.nodes or any(
        one.nodes >= option.nodes and one.closes - max(one.opens, 0) >= seconds for one in site.windows
    )
    return large and work.software <= site.software


def cost(problem: Problem, work: Work, index: int) -> float:
    """Node-seconds of an option."""
    option = work.options[index]
    cores = problem.sites[option.site].cores
    return option.seconds.quantile(problem.quantile) * option.nodes * (option.cores or cores) / cores


def _fits_nowhere(problem: Problem, work: Work) -> Infeasible:
    lacking = [problem.sites[one.site] for one in work.options if not work.software <= problem.sites[one.site].software]
    if len(lacking) == len(work.options):
        names = ", ".join(sorted(work.software))
        return Infeasible(f"{work.name} needs {names}, which no site has", limit="software")
    short: list[tuple[float, str, float, float]] = []
    for option in work.options:
        site = problem.sites[option.site]
        seconds = option.seconds.quantile(problem.quantile)
        short += [
            _shortfall(site, one.nodes, one.closes - max(one.opens, 0), option.nodes, seconds) for one in site.windows
        ]
    if not short:
        return Infeasible(f"{work.name}: no site has nodes for it", limit="nodes", needed=1, allowed=0)
    _, message, needed, allowed = min(short)
    limit = "window" if "lasts" in message else "nodes"
    return Infeasible(f"{work.name} fits no window of any site: {message}", limit=limit, needed=needed, allowed=allowed)


def _shortfall(site: Site, nodes: int, lasts: float, wanted: int, seconds: float) -> tuple[float, str, float, float]:
    if nodes < wanted:
        return (1e9 + wanted - nodes, f"{site.name} has {nodes} nodes of the {wanted} it needs", wanted, nodes)
    text = f"the best one, of {site.name}, lasts {lasts:.0f} s of the {seconds:.0f} s it needs"
    return (seconds - lasts, text, seconds, lasts)
