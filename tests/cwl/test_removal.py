from pathlib import Path

import pytest

from cwlbalsam.cwl.removal import remove_tree


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A folder that holds one that nobody may enter, and a link to another one."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    inner = tmp_path / "job" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    (inner.parent / "link").symlink_to(kept)
    inner.chmod(0o000)
    return inner.parent


def test_a_folder_goes_although_nobody_may_enter_what_is_in_it(locked: Path) -> None:
    remove_tree(str(locked), ignore_errors=False)
    assert not locked.exists()
    assert (locked.parent / "kept" / "file").exists()


def test_a_link_is_never_followed(locked: Path) -> None:
    remove_tree(str(locked / "link"))
    assert (locked.parent / "kept" / "file").exists()
    remove_tree(str(locked))
