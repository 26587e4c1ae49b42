import time
from pathlib import Path

import pytest

from cwlbalsam.executor.slots import TICK_SECONDS, Slots


@pytest.mark.parametrize("wait_seconds", [0.0, 2 * TICK_SECONDS])
def test_what_a_job_has_left_is_not_there_for_the_next_one(tmp_path: Path, wait_seconds: float) -> None:
    slots = Slots(str(tmp_path))
    for turn in range(6):
        slot = slots.take()
        time.sleep(wait_seconds)
        assert not list(Path(slot.tmpdir).iterdir())
        if turn % 2:
            (Path(slot.tmpdir) / "left").touch()
        slots.give_back(slot)


@pytest.mark.parametrize("wait_seconds", [0.0, 2 * TICK_SECONDS])
def test_a_folder_that_a_job_has_closed_or_replaced_is_opened_again(tmp_path: Path, wait_seconds: float) -> None:
    slots = Slots(str(tmp_path))
    slots.give_back(slots.take())
    time.sleep(wait_seconds)
    slots.give_back(slots.take())
    slot = slots.take()
    Path(slot.tmpdir).chmod(0o500)
    slots.give_back(slot)
    slot = slots.take()
    Path(slot.tmpdir).rmdir()
    Path(slot.tmpdir).symlink_to(tmp_path)
    slots.give_back(slot)
    slot = slots.take()
    assert not Path(slot.tmpdir).is_symlink()
    assert Path(slot.tmpdir).stat().st_mode & 0o777 == 0o700
