import pytest

from cwlbalsam.jobs.names import attempts_above, job_directory


@pytest.mark.parametrize(("number", "attempt"), [(0, 1), (7, 3), (123_456, 1), (1000, 12)])
@pytest.mark.parametrize("rest", ["/out.txt", "/5/x/y", ".literals/3/name"])
def test_a_path_tells_which_job_has_made_it(number: int, attempt: int, rest: str) -> None:
    directory = job_directory("file:///home/0/runs/1/jobs", number, attempt)
    assert (directory, number) in list(attempts_above(directory + rest))


@pytest.mark.parametrize("path", ["/data/1/7/x", "/0/12", "/a/0/12.x/y", "/0/x12/y", "/0/12.in/y", ""])
def test_other_paths_tell_nothing(path: str) -> None:
    assert not list(attempts_above(path))


def test_of_a_path_that_looks_so_twice_both_are_told() -> None:
    assert list(attempts_above("/0/5/0/12.2/x")) == [("/0/5", 5), ("/0/5/0/12.2", 12)]
