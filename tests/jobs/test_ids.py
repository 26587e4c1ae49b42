import uuid

from cwlbalsam.jobs.ids import new_run_id, short_run_id


def test_ids_are_uuids_whose_text_sorts_by_time() -> None:
    ids = [new_run_id(now) for now in (1.0, 1.5, 2.0, 1_800_000_000.0)]
    assert ids == sorted(ids)
    assert {(uuid.UUID(run_id).version, uuid.UUID(run_id).variant) for run_id in ids} == {(7, uuid.RFC_4122)}
    assert short_run_id(new_run_id(1.0)) == "00000000-03e8"
    assert new_run_id(1.0) != new_run_id(1.0)
