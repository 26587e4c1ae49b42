from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Trouble
from cwlbalsam.sites.transfers.choose import (
    LONGEST_WAIT_SECONDS,
    PATIENCE_SECONDS,
    SPENT_AFTER,
    GiveUp,
    Go,
    History,
    Option,
    Wait,
    batches,
    choose,
    record,
)

FAST, SLOW = Option("a", "gridftp", 10.0), Option("a", "scp", 60.0)
OTHER = Option("b", "scp", 70.0)


def failed(*troubles: tuple[Option, Trouble], now: float = 0.0) -> History:
    history = History()
    for option, trouble in troubles:
        record(history, option, trouble, f"{trouble}!", now, 1, 1.0)
    return history


def test_the_fastest_way_is_taken() -> None:
    assert choose([SLOW, FAST, OTHER], History(), 0.0) == Go(FAST)


def test_a_short_wait_for_the_fast_way_is_better_than_a_slow_way() -> None:
    assert choose([FAST, SLOW], failed((FAST, Trouble.CUT)), 0.0) == Wait(1.0)
    assert choose([FAST, SLOW], failed((FAST, Trouble.CUT)), 1.0) == Go(FAST)


def test_a_way_that_is_down_is_left_when_the_wait_for_it_is_longer_than_another() -> None:
    history = failed(*[(FAST, Trouble.UNREACHABLE)] * 8)
    assert choose([FAST, SLOW], history, 0.0) == Go(SLOW)


def test_what_is_preferred_is_taken_before_what_is_faster_but_not_waited_for_much_longer() -> None:
    wanted, other = Option("a", "rsync", 60.0, rank=0), Option("a", "gridftp", 50.0, rank=1)
    assert choose([other, wanted], History(), 0.0) == Go(wanted)
    down = failed(*[(wanted, Trouble.UNREACHABLE)] * 8)
    assert choose([other, wanted], down, 0.0) == Go(other)
    assert choose([other, wanted], failed((other, Trouble.CUT), (wanted, Trouble.UNFIT)), 0.0) == Wait(1.0)


def test_the_next_protocol_and_then_the_next_copy() -> None:
    unfit = failed((FAST, Trouble.UNFIT))
    assert choose([FAST, SLOW, OTHER], unfit, 100.0) == Go(SLOW)
    record(unfit, SLOW, Trouble.DENIED, "no", 100.0, 1, 1.0)
    assert choose([FAST, SLOW, OTHER], unfit, 200.0) == Go(OTHER)


def test_when_nothing_is_left_each_way_is_told() -> None:
    answer = choose([FAST, SLOW], failed((FAST, Trouble.UNFIT), (SLOW, Trouble.DENIED)), 100.0)
    assert answer == GiveUp(Trouble.DENIED, "from a by gridftp: unfit!; from a by scp: denied!")
    assert choose([], History(), 0.0) == GiveUp(Trouble.MISSING, "no site that has it can be reached from there")


def test_a_full_disk_is_full_for_all_ways() -> None:
    assert choose([FAST, SLOW], failed((FAST, Trouble.FULL)), 0.0) == GiveUp(Trouble.FULL, "full!")


@given(st.lists(st.sampled_from([trouble for trouble in Trouble if trouble]), max_size=60), st.floats(0, 1))
def test_every_file_ends_or_waits_no_longer_than_it_may(troubles: list[Trouble], share: float) -> None:
    history, now = History(), 0.0
    for trouble in troubles:
        answer = choose([FAST, SLOW], history, now)
        if isinstance(answer, Wait):
            assert 0 < answer.seconds <= LONGEST_WAIT_SECONDS
            now += answer.seconds
            answer = choose([FAST, SLOW], history, now)
        if isinstance(answer, GiveUp):
            return
        assert isinstance(answer, Go)
        record(history, answer.option, trouble, "x", now, 1, share)
    lasting = [trouble for trouble in troubles if trouble in SPENT_AFTER]
    assert len(lasting) <= 2 * sum(SPENT_AFTER.values())
    assert isinstance(choose([FAST, SLOW], history, now + PATIENCE_SECONDS + 1), GiveUp | Go)


@given(
    st.lists(st.integers(0, 10**10), max_size=300),
    st.builds(
        Figures,
        latency_seconds=st.floats(1e-3, 60),
        file_seconds=st.floats(1e-6, 0.1),
        bytes_per_second=st.floats(1e5, 1e10),
    ),
    st.integers(1, 100),
)
def test_batches_hold_every_file_once_in_order(sizes: list[int], figures: Figures, most: int) -> None:
    found = list(batches(range(len(sizes)), sizes, figures, most))
    assert [file for batch in found for file in batch] == list(range(len(sizes)))
    assert all(1 <= len(batch) <= most for batch in found)


def test_small_files_share_the_latency_and_large_ones_do_not_wait_for_each_other() -> None:
    figures = Figures(latency_seconds=1.0, file_seconds=1e-3, bytes_per_second=1e8)
    assert [len(batch) for batch in batches(range(1000), [4096] * 1000, figures, 10_000)] == [1000]
    assert [len(batch) for batch in batches(range(4), [10**10] * 4, figures, 10_000)] == [1] * 4
