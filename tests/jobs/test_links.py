from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.jobs.links import HALF_LIFE_SECONDS, Figures, faded, learn

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
    learned = learn(figures, files, size, seconds, 5.0)
    before, after = figures.seconds(files, size), learned.seconds(files, size)
    assert min(before, seconds) * 0.999 <= after <= max(before, seconds) * 1.001
    assert min(learned.latency_seconds, learned.file_seconds, learned.bytes_per_second) > 0
    assert (learned.samples, learned.learned) == (1, 5.0)


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
            guess = learn(guess, files, size, truth.seconds(files, size), 0.0)
    for files, size in (small, large):
        assert 0.5 < guess.seconds(files, size) / truth.seconds(files, size) < 2


def test_a_large_file_says_little_of_what_small_ones_cost() -> None:
    guess = Figures(latency_seconds=0.1, file_seconds=1e-3, bytes_per_second=1e8)
    learned = learn(guess, 1, 10**11, 2000.0, 0.0)
    assert 0.9 < learned.file_seconds / guess.file_seconds < 1.1
    assert learned.bytes_per_second < 0.8e8


@given(FIGURES, FIGURES, st.floats(0, 1e9))
def test_what_was_learned_fades_to_the_guess(known: Figures, guess: Figures, age: float) -> None:
    now = faded(known, guess, age)
    for name in ("latency_seconds", "file_seconds", "bytes_per_second"):
        learned, guessed, after = (getattr(figures, name) for figures in (known, guess, now))
        assert min(learned, guessed) * 0.999 <= after <= max(learned, guessed) * 1.001


def test_half_of_what_was_learned_is_believed_after_its_half_life() -> None:
    known = Figures(latency_seconds=1.0, file_seconds=1.0, bytes_per_second=1e8, samples=3, learned=10.0)
    guess = Figures(latency_seconds=100.0, file_seconds=1.0, bytes_per_second=1e6)
    assert faded(known, guess, 0.0) == faded(known, guess, 10.0) == known
    half = faded(known, guess, 10.0 + HALF_LIFE_SECONDS)
    assert abs(half.latency_seconds - 10.0) < 1e-9
    assert abs(half.bytes_per_second - 1e7) < 1e-3
