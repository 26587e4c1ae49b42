import asyncio

import pytest

from cwlbalsam.cwl.records import Docker, Requirements, Software, ToolProcess
from cwlbalsam.errors import Problem
from cwlbalsam.service.site_software import Needs
from cwlbalsam.sites.site import Site

BWA = Software(package="no-such-program", versions=("0.7",), required=True, place="w.cwl:3:5")


def tool(software: Software = BWA, docker: Docker | None = None) -> ToolProcess:
    needs = Requirements(docker=docker, software=(software,))
    return ToolProcess(id="align", version="v1.2", inputs=(), outputs=(), requirements=needs)


def lacking(needs: Needs) -> list[Problem]:
    return asyncio.run(needs.lacking())


def test_all_that_a_site_lacks_is_told_at_once() -> None:
    tools = [tool(), tool(docker=Docker(pull="x", required=True, place="w.cwl:9:9"))]
    container, software, again = lacking(Needs(Site(name="a"), tools, engine=""))
    assert container.place == "w.cwl:9:9"
    assert "requires a container" in container.message
    assert software.place == again.place == "w.cwl:3:5"
    assert software.message == "'align' requires no-such-program 0.7, which site 'a' does not have"
    assert "`software: [no-such-program=0.7]`" in software.hint


@pytest.mark.parametrize(
    "needs",
    [
        Needs(Site(name="a"), [tool(Software(package="sh", versions=("9",), required=True))], engine=""),
        Needs(Site(name="a", software=("no-such-program",)), [tool()], engine=""),
        Needs(Site(name="a"), [tool(Software(package="no-such-program"))], engine=""),
        Needs(Site(name="a"), [tool(docker=Docker(pull="x"))], engine="podman"),
        Needs(Site(name="a"), [tool()], engine="podman", contained=True),
        Needs(Site(name="a", setup=("exit 0",)), [tool()], engine=""),
    ],
    ids=["there", "described", "a hint", "in its image", "in the default image", "no answer"],
)
def test_nothing_is_lacking(needs: Needs) -> None:
    assert lacking(needs) == []


def test_a_module_that_all_jobs_load_must_be_there() -> None:
    (problem,) = lacking(Needs(Site(name="a", modules=("no-such-module",)), [], engine=""))
    assert problem.message == "site 'a' cannot load module 'no-such-module', which all its jobs load"
