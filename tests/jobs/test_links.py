from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.links import Figures, learn

FIGURES = st.builds(
    Figures,
    latency_seconds=st.floats(1e-4, 100),
    file_seconds=st.floats(1e-6, 1),
    bytes_per_second=st.floats(1e3, 1e10),
)


@given(FIGURES, st.integers(0, 10**5), st.integers(0, 10**13), st.floats(1e-3, 1e6))
def test_a_transfer_brings_the_figures_nearer_to_what_it_took(
    figures: Figures, files: int, size: int, seconds: float
) -> None:
    learned = learn(figures, files, size, seconds)
    before, after = figures.seconds(files, size), learned.seconds(files, size)
    assert min(before, seconds) * 0.999 <= after <= max(before, seconds) * 1.001
    assert min(learned.latency_seconds, learned.file_seconds, learned.bytes_per_second) > 0
    assert learned.samples == 1


REAL = st.builds(
    Figures,
    latency_seconds=st.floats(0.05, 30),
    file_seconds=st.floats(1e-5, 1e-2),
    bytes_per_second=st.floats(1e6, 1e10),
)
WRONG = st.floats(-2, 2).map(lambda power: 10.0**power)


@given(REAL, WRONG, WRONG, WRONG)
def test_a_guess_that_is_wrong_by_a_factor_of_100_becomes_true(
    truth: Figures, latency: float, file: float, rate: float
) -> None:
    guess = Figures(
        latency_seconds=truth.latency_seconds * latency,
        file_seconds=truth.file_seconds * file,
        bytes_per_second=truth.bytes_per_second * rate,
    )
    small, large = (1000, 10**6), (2, 10**11)
    for _ in range(60):
        for files, size in (small, large):
            guess = learn(guess, files, size, truth.seconds(files, size))
    for files, size in (small, large):
        assert 0.5 < guess.seconds(files, size) / truth.seconds(files, size) < 2


def test_a_large_file_says_little_of_what_small_ones_cost() -> None:
    guess = Figures(latency_seconds=0.1, file_seconds=1e-3, bytes_per_second=1e8)
    learned = learn(guess, 1, 10**11, 2000.0)
    assert 0.9 < learned.file_seconds / guess.file_seconds < 1.1
    assert learned.bytes_per_second < 0.8e8
