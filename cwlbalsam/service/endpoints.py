"""How a site is reached, made of its description."""

import shlex

from cwlbalsam.sites.site import LOCAL, Site
from cwlbalsam.sites.transfers.base import Collection, Endpoint, Ssh
from cwlbalsam.sites.transfers.ssh import remote_command


def login_of(site: Site) -> Ssh:
    """Of a site on another machine."""
    return Ssh(host=site.host, config=site.ssh_config, python=site.python or "python3")


def endpoint_of(site: Site, root: str) -> Endpoint:
    """root: the site's work folder, as it is called there."""
    return Endpoint(
        site=site.name,
        root=root,
        local=not site.host,
        filesystem=site.filesystem,
        ssh=login_of(site) if site.host else None,
        gridftp=site.gridftp,
        globus=Collection(id=site.globus) if site.globus else None,
        ways=site.transfers.ways,
        at_once=site.transfers.at_once,
    )


def home_endpoint(root: str) -> Endpoint:
    """Of this machine."""
    return Endpoint(site=LOCAL, root=root, local=True)


def agent_command(site: Site) -> list[str]:
    """What reaches the site's agent: a program whose standard streams are the agent's."""
    program = site.command or "cwlbalsam"
    words = f"~/{shlex.quote(program[2:])}" if program.startswith("~/") else shlex.quote(program)
    ssh = remote_command(login_of(site), ["true"])
    return [*ssh[:-1], f"{words} agent {shlex.quote(site.name)} --stdio"]
