from pathlib import Path

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.store import open_store
from cwlbalsam.store.choice import (
    CHOICE_NAME,
    SECRET_NAME,
    Choice,
    Server,
    choice_stamp,
    read_choice,
    read_secret,
    refuse_if_moved,
    write_choice,
    write_secret,
)
from cwlbalsam.store.sqlite import SqliteStore

SERVER = Server(host="h", data="/d", sockets="/s", port=1)


def test_a_home_without_a_choice_uses_sqlite(tmp_path: Path) -> None:
    assert read_choice(tmp_path) == read_choice(tmp_path / "no" / "such") == Choice()
    store = open_store(tmp_path)
    assert isinstance(store, SqliteStore)
    store.close()


def test_a_choice_is_read_as_it_was_written(tmp_path: Path) -> None:
    for choice in (
        Choice(engine="postgres", server=SERVER),
        Choice(engine="postgres", url="postgresql://h/d"),
        Choice(),
    ):
        write_choice(tmp_path, choice)
        assert read_choice(tmp_path) == choice
    assert [path.name for path in tmp_path.iterdir()] == [CHOICE_NAME]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"engine": "oracle"}', '{"engine": "postgres"}', '{"engine": 1}', "\xff"]
)
def test_a_broken_choice_is_the_users_to_mend(tmp_path: Path, text: str) -> None:
    (tmp_path / CHOICE_NAME).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"store\.json"):
        open_store(tmp_path)


def test_a_secret_is_for_the_user_alone(tmp_path: Path) -> None:
    assert read_secret(tmp_path) == ""
    write_secret(tmp_path, "pässword")
    assert read_secret(tmp_path) == "pässword"
    assert (tmp_path / SECRET_NAME).stat().st_mode & 0o777 == 0o600
    write_secret(tmp_path, "")
    write_secret(tmp_path, "")
    assert not (tmp_path / SECRET_NAME).exists()


def test_who_has_opened_a_store_notices_that_it_has_moved(tmp_path: Path) -> None:
    stamp = choice_stamp(tmp_path)
    refuse_if_moved(tmp_path, stamp)
    write_choice(tmp_path, Choice())
    with pytest.raises(UserError, match="was moved"):
        refuse_if_moved(tmp_path, stamp)
    later = choice_stamp(tmp_path)
    write_choice(tmp_path, Choice())
    assert choice_stamp(tmp_path) != later
