import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.executor.wires.stream import BrokenStream, Frame, Reader, Stream


@given(
    st.lists(st.binary(max_size=20), max_size=40),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=20),
)
def test_each_message_arrives_once_and_in_order_however_connections_break(
    messages: list[bytes], breaks: list[tuple[int, int]]
) -> None:
    """breaks: how many bytes of a connection pass before it breaks, and messages that are sent before each."""
    sender, receiver, got = Stream(), Stream(), []
    waiting = list(messages)
    for passed, count in [*breaks, (1 << 30, len(messages))]:
        for message in waiting[:count]:
            sender.send(message, 1.0)
        del waiting[:count]
        line = b"".join(sender.resend(receiver.received, 2.0))
        frames = Reader()
        for start in range(0, min(passed, len(line)), 7):
            for frame in frames.feed(line[start : min(start + 7, passed)]):
                body = receiver.accept(frame)
                if body is not None:
                    got.append(body)
    assert got == messages


def test_what_is_confirmed_is_forgotten_and_what_is_not_is_sent_again() -> None:
    sender, receiver = Stream(), Stream()
    for text in (b"a", b"b", b"c"):
        sender.send(text, 0.0)
    (first,) = Reader().feed(next(sender.resend(0, 0.0)))
    receiver.accept(first)
    (sign,) = Reader().feed(receiver.sign_of_life(0.0))
    assert sender.accept(sign) is None
    assert sender.unconfirmed == 2
    assert [frame.body for line in sender.resend(1, 0.0) for frame in Reader().feed(line)] == [b"b", b"c"]


def test_a_gap_or_a_confirmation_of_what_was_never_sent_breaks_the_stream() -> None:
    with pytest.raises(BrokenStream):
        Stream().accept(Frame(number=2, received=0, stamp=0.0, body=b"x"))
    with pytest.raises(BrokenStream):
        Stream().accept(Frame(number=0, received=1, stamp=0.0, body=b""))


@given(st.binary(max_size=200))
def test_noise_is_never_more_than_a_broken_stream(noise: bytes) -> None:
    stream = Stream()
    try:
        for frame in Reader().feed(noise):
            stream.accept(frame)
    except BrokenStream:
        pass
