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


@given(FIGURES, FIGURES)
def test_what_is_learned_again_and_again_is_true(guess: Figures, truth: Figures) -> None:
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
