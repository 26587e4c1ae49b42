"""Logins for sites, at a stand-in for Globus."""

import stat
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from cwlbalsam.cli.main import cli
from cwlbalsam.errors import UserError
from cwlbalsam.sites.transfers import globus_login
from tests.globus import GlobusService, all_of_globus

CONSENT = "urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/x/data_access]"


@pytest.fixture
def globus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusService]:
    with all_of_globus(tmp_path, str(uuid.UUID(int=1)), monkeypatch) as service:
        collection = service.add(tmp_path)
        (tmp_path / "sites.yml").write_text(f"far: {{host: far, globus: {collection}}}\nplain: {{host: plain}}\n")
        yield service


def log_in(name: str = "far") -> str:
    result = CliRunner().invoke(cli, ["site", "login", name])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_person_gives_a_code_and_consents_to_what_the_collection_wants(
    globus: GlobusService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def give(prompt: str) -> str:
        asked.append(prompt)
        if len(asked) == 2:  # on the page that the second URL leads to
            globus.consents = []
        return "the-code"

    globus.consents = [CONSENT]
    monkeypatch.setattr("builtins.input", give)
    told = log_in()
    first, second = [line for line in told.splitlines() if line.startswith(globus.url)]
    assert "data_access" not in first
    assert CONSENT in urllib.parse.unquote_plus(second)
    tokens = tmp_path / "globus-tokens.json"
    assert str(tokens) in told
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
    globus_login.connect().close()


def test_a_consent_that_was_not_given_is_told(globus: GlobusService, monkeypatch: pytest.MonkeyPatch) -> None:
    globus.consents = [CONSENT]
    monkeypatch.setattr("builtins.input", lambda _: "the-code")
    with pytest.raises(UserError, match="still wants the user's consent"):
        log_in()


def test_a_service_is_asked_for_nothing(globus: GlobusService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(globus_login.SECRET, "s3cret")
    assert "logged in" in log_in()


def test_a_site_without_globus_needs_no_login(globus: GlobusService) -> None:
    with pytest.raises(UserError, match="nothing of site 'plain' needs a login"):
        log_in("plain")


@pytest.mark.usefixtures("globus")
def test_a_globus_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route to host")

    monkeypatch.setenv(globus_login.SECRET, "s3cret")
    monkeypatch.setattr(requests.Session, "send", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # it tries again
    with pytest.raises(UserError, match="Globus cannot be reached") as caught:
        log_in()
    assert "s3cret" not in str(caught.value)
