from pathlib import Path

from cwlbalsam.store.mailbox import Mailbox, refusal_of


def test_requests_are_taken_in_their_order_and_dropped(tmp_path: Path) -> None:
    box = Mailbox(tmp_path / "box")
    assert box.waiting() == []
    put = [box.put(body) for body in (b"a", b"b", b"c")]
    assert [path.read_bytes() for path in box.waiting()] == [b"a", b"b", b"c"]
    box.drop(put[0])
    box.drop(put[0])
    assert box.waiting() == put[1:]
    assert refusal_of(put[0]) == ""


def test_who_asked_learns_once_why_it_was_refused(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    request = box.put(b"a")
    box.drop(request, "no")
    assert (refusal_of(request), refusal_of(request)) == ("no", "")
    assert list(tmp_path.iterdir()) == []
