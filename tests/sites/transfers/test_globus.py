"""Globus, against a service of the tests' own that moves the files for real."""

import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.sites.transfers import carry as carrying
from cwlbalsam.sites.transfers import globus_login
from cwlbalsam.sites.transfers.base import Collection, Progress, State, TransferError, Trouble
from cwlbalsam.sites.transfers.globus import Globus, collection_path
from cwlbalsam.sites.transfers.globus_task import trouble_of_code
from tests.globus import GlobusService, all_of_globus
from tests.sites.transfers.conftest import Sites, Workplace

Make = Callable[[tuple[str, str, str]], Workplace]
CLIENT = str(uuid.UUID(int=1))
servers = pytest.mark.servers


@pytest.fixture
def place(sites: Sites, workplace: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """Files to move from a to b, and a service without faults."""
    monkeypatch.setattr(carrying, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(carrying, "SLOWEST_POLL_SECONDS", 0.1)
    made = workplace(("globus", "a", "b"))
    for name in ("one", "two", "three"):
        (made.out / name).write_text(name * 1000)
    yield made
    sites.globus.mend()


def items(place: Workplace) -> list[Any]:
    return [place.item(name) for name in ("one", "two", "three")]


def watched(place: Workplace, act: Callable[[Progress], None], **more: Any) -> list[Any]:
    found: list[Any] = place._run(carrying.carry(place.carrier, place.batch(*items(place)), act, **more))
    return found


@servers
def test_a_batch_is_one_task_with_a_deadline_and_no_mail(sites: Sites, place: Workplace) -> None:
    before = len(sites.globus.tasks)
    assert all(result.arrived for result in place.carry(*items(place)))
    (task,) = list(sites.globus.tasks.values())[before:]
    document = task["document"]
    assert (len(document["DATA"]), document["verify_checksum"], document["notify_on_failed"]) == (3, True, False)
    assert document["deadline"] > "20"


@servers
def test_a_paused_task_says_why_and_goes_on_when_it_is_released(sites: Sites, place: Workplace) -> None:
    sites.globus.paused = True
    seen: list[Progress] = []

    def act(progress: Progress) -> None:
        seen.append(progress)
        if progress.state is State.PAUSED:
            sites.globus.paused = False

    assert all(result.arrived for result in watched(place, act))
    assert "maintenance of the storage" in next(progress.message for progress in seen if progress.message)


@servers
def test_a_missing_consent_is_named_with_its_scopes(sites: Sites, place: Workplace) -> None:
    sites.globus.consents = ["urn:globus:auth:scope:transfer.api.globus.org:all[*https://data_access]"]
    results = place.carry(*items(place))
    assert {result.trouble for result in results} == {Trouble.LOGIN}
    assert "consent to urn:globus:auth:scope" in results[0].message
    assert not place.into.exists()


@servers
def test_what_fails_alone_leaves_the_others(sites: Sites, place: Workplace) -> None:
    sites.globus.forbidden = {f"/{place.name}/two"}
    results = place.carry(*items(place))
    assert [result.trouble for result in results] == [Trouble.NONE, Trouble.DENIED, Trouble.NONE]
    assert "/two" in results[1].message


@servers
def test_what_had_arrived_when_a_task_failed_counts(sites: Sites, place: Workplace) -> None:
    sites.globus.fail_after = 2
    results = place.carry(*items(place))
    assert [result.arrived for result in results] == [True, True, False]
    assert "it went wrong" in results[2].message
    sites.globus.fail_after = None
    assert place.carry(place.item("three"), resume=True)[0].arrived


@servers
def test_what_it_damages_is_found(sites: Sites, place: Workplace) -> None:
    import hashlib

    sites.globus.damage = True
    checksum = f"sha1${hashlib.sha1(b'one' * 1000).hexdigest()}"
    assert place.carry(place.item("one", checksum=checksum))[0].trouble is Trouble.CORRUPT
    assert not (place.into / "one").exists()


@servers
def test_while_the_service_cannot_be_asked_its_task_goes_on(sites: Sites, place: Workplace) -> None:
    sites.globus.seconds_per_file = 0.3
    seen: list[Progress] = []

    def act(progress: Progress) -> None:
        if not seen:
            sites.globus.expire()
        elif progress.state is State.PAUSED:
            sites.globus.expired.clear()
        seen.append(progress)

    assert all(result.arrived for result in watched(place, act))
    assert any(progress.trouble is Trouble.LOGIN for progress in seen)


@servers
def test_a_cancelled_task_ends(sites: Sites, place: Workplace) -> None:
    sites.globus.seconds_per_file = 0.3

    class Enough(Exception):
        pass

    def act(progress: Progress) -> None:
        raise Enough

    with pytest.raises(Enough):
        watched(place, act)
    task = list(sites.globus.tasks.values())[-1]
    assert (task["status"], task["fatal_error"]["code"]) == ("FAILED", "CANCELED")


@servers
def test_a_task_that_outlived_its_watcher_is_taken_up_again(sites: Sites, place: Workplace) -> None:
    sites.globus.paused = True
    before = len(sites.globus.tasks)

    async def submit_and_die() -> None:
        carrier = place.carrier
        killed: Any = Killed(carrier)
        await carrying.carry(killed, place.batch(*items(place)), lambda progress: None)

    place._run(submit_and_die())
    sites.globus.paused = False
    assert all(result.arrived for result in place.carry(*items(place), resume=True))
    assert len(sites.globus.tasks) == before + 1


class Killed:
    """Submits, and then is no more."""

    def __init__(self, carrier: Any) -> None:
        self._carrier = carrier

    def __getattr__(self, name: str) -> Any:
        return getattr(self._carrier, name)

    async def start(self, load: Any) -> Any:
        task = await self._carrier.start(load)
        task._client.close()
        raise TransferError(Trouble.CUT, "killed")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusService]:
    with all_of_globus(tmp_path, CLIENT, monkeypatch) as started:
        yield started


def test_a_service_logs_in_by_its_secret_and_gets_new_tokens_by_itself(
    service: GlobusService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(globus_login.SECRET, "s3cret")
    client = globus_login.connect()
    assert client.task_list()["total"] == 0
    service.expire()
    assert client.task_list()["total"] == 0
    assert [grant["grant_type"] for grant in service.granted[-1:]] == ["client_credentials"]
    client.close()


def test_a_wrong_secret_is_the_users_to_mend(service: GlobusService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(globus_login.SECRET, "wrong")
    with pytest.raises(UserError, match="Globus refuses the login"):
        globus_login.log_in()


def test_a_person_logs_in_by_a_code_and_the_tokens_are_theirs_alone(
    service: GlobusService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TransferError, match="a login with Globus is needed"):
        globus_login.connect()
    monkeypatch.setattr("builtins.input", lambda prompt: "the-code")
    globus_login.log_in()
    assert "https://" in capsys.readouterr().out or service.granted
    assert stat.S_IMODE((tmp_path / "globus-tokens.json").stat().st_mode) == 0o600
    client = globus_login.connect()
    service.expire()
    assert client.task_list()["total"] == 0
    assert service.granted[-1]["grant_type"] == "refresh_token"
    client.close()


def test_without_a_client_id_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(globus_login.ID, raising=False)
    with pytest.raises(UserError, match=f"set {globus_login.ID}"):
        globus_login.log_in()
    with pytest.raises(TransferError, match=globus_login.ID) as told:
        globus_login.connect()
    assert told.value.trouble is Trouble.LOGIN


@given(st.text())
def test_any_code_of_an_error_is_some_trouble(code: str) -> None:
    assert trouble_of_code(code) in Trouble


@given(st.text(min_size=1))
def test_a_path_is_never_outside_of_the_collection(path: str) -> None:
    collection = Collection(id=CLIENT, base="/data/project")
    try:
        found = collection_path(collection, f"/data/project/{path}")
    except TransferError:
        return
    assert found == f"/{path}"
    assert ".." not in found.split("/")


@pytest.mark.parametrize("path", ("/data/other", "/data/project/../x", "/data/project2/x", "/data/project"))
def test_what_a_collection_does_not_show_is_refused(path: str) -> None:
    with pytest.raises(TransferError):
        collection_path(Collection(id=CLIENT, base="/data/project/"), path)


def test_globus_is_imported_only_when_it_is_used() -> None:
    import subprocess
    import sys

    code = "import sys; import cwlbalsam.sites.transfers; assert not {'globus_sdk', 'requests'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Globus(globus_login.connect).NAME == "globus"
