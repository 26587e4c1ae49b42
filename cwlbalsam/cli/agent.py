"""`cwlbalsam agent`: the other end of a run that comes over ssh."""

import click


@click.command("agent")
@click.argument("name")
@click.option("--stdio", is_flag=True, required=True, help="Speak with the agent by standard input and output.")
def command(name: str, stdio: bool) -> None:
    """Reach the agent of site NAME on this machine, and start it if there is none.

    Runs on other machines call this by ssh; there is nothing to type here.
    """
    from cwlbalsam.service.bridge import bridge
    from cwlbalsam.service.home import find_home

    click.get_current_context().exit(bridge(name, find_home()))
