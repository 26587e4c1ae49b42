"""`cwlbalsam site check` on sites that are right, and on sites with one mistake each."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.remote.place import BIN, Host, RemotePlace
from tests.servers import free_port

pytestmark = pytest.mark.servers


def check(place: RemotePlace, name: str, *options: str, code: int) -> dict[str, dict[str, str]]:
    """Findings by what they are about."""
    told = place.call("site", "check", name, "--json", "--wait", "60", *options, code=code, timeout=150)
    assert "Traceback" not in place.said.read_text()
    return {finding["name"]: finding for finding in json.loads(told)}


def failed(findings: dict[str, dict[str, str]]) -> list[str]:
    return [name for name, finding in findings.items() if finding["status"] == "failed"]


def test_a_site_that_is_right_passes_all(place: RemotePlace) -> None:
    findings = check(place, "far", code=0)
    assert {finding["status"] for finding in findings.values()} == {"ok"}
    assert {"login", "cwlbalsam", "pilot", "scp to the site", "scp from the site"} <= findings.keys()
    assert not [*place.hosts["far"].work.glob(".transfers/*"), *place.hosts["far"].work.glob("runs/*")]


def other_version(place: RemotePlace) -> dict[str, Any]:
    program = place.folder / "old-cwlbalsam"
    start = "import cwlbalsam; cwlbalsam.__version__ = '0.0.1'; from cwlbalsam.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {BIN}/python -c "{start}" "$@"\n')
    program.chmod(0o755)
    return {"command": str(program)}


def no_key(place: RemotePlace) -> dict[str, Any]:
    host = place.hosts["far"]
    config = place.folder / "config"
    config.write_text(host.config.read_text().replace("IdentityFile", "IdentitiesOnly yes\n#") + "IdentityFile none\n")
    return {"ssh_config": str(config)}


def strange_host_key(place: RemotePlace) -> dict[str, Any]:
    config = place.folder / "config"
    config.write_text(place.hosts["far"].config.read_text().replace("far/sshd/known_hosts", "far/sshd/nobody"))
    return {"ssh_config": str(config)}


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "a host that is not there": ({"host": "nohost.invalid"}, "login", "host: nohost.invalid"),
    "a key that is not let in": (no_key, "login", "ssh-add"),
    "a host key that is not known": (strange_host_key, "login", "key"),
    "no Python for transfers": ({"python": "/nowhere/python3"}, "python", "`python: "),
    "no cwlbalsam": ({"command": "/nowhere/cwlbalsam"}, "cwlbalsam", "pip install cwlbalsam=="),
    "another cwlbalsam": (other_version, "cwlbalsam", "the same version at both ends"),
    "a work directory that cannot be made": ({"work": "/proc/nowhere"}, "work directory", "`work: "),
    "a scheduler that is not there": ({"scheduler": "lsf"}, "scheduler", "`scheduler: lsf` right"),
    "a container engine that does not work": ({"containers": ["singularity"]}, "containers", "`containers`"),
    "a GridFTP server that is down": (
        {"gridftp": f"ftp://127.0.0.1:{free_port()}", "transfers": ["gridftp"]},
        "gridftp to the site",
        "`transfers`",
    ),
    "setup that fails": ({"setup": ["echo my module is missing; exit 7"]}, "pilot", "batch job printed"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_its_way_out_told(place: RemotePlace, mistake: str) -> None:
    site, name, advice = MISTAKES[mistake]
    changed = site(place) if callable(site) else site
    place.describe(far=place.hosts["far"].describe(**changed))
    findings = check(place, "far", code=1)
    assert name in failed(findings), findings
    assert failed(findings)[0] == name
    assert advice in findings[name]["advice"], findings[name]


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("site", "name", "advice"),
    [
        ({"scheduler": {"kind": "slurm", "queue": "nowhere"}}, "scheduler", "batch, short, urgent"),
        ({"scheduler": {"kind": "slurm", "account": "nobody"}}, "pilot", "`account`"),
        ({"work": "/tmp/only-the-login-node-sees-this/{}"}, "pilot", "(`work`)"),
        ({}, "", ""),
    ],
)
def test_mistakes_that_only_a_batch_system_shows(
    cluster_host: Host, tmp_path: Path, slurm_cluster: Cluster, site: dict[str, Any], name: str, advice: str
) -> None:
    place = RemotePlace(tmp_path / "me", hosts={"cluster": cluster_host})
    changed = {key: text.format(tmp_path.name) if key == "work" else text for key, text in site.items()}
    place.describe(cluster=cluster_host.describe(**{"scheduler": "slurm", **changed}))
    findings = check(place, "cluster", code=1 if name else 0)
    assert failed(findings) == ([name] if name else [])
    assert not name or advice in findings[name]["advice"], findings[name]
