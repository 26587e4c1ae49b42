import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.executor.mpi_calls import NAMES, Call, parse_call
from cwlbalsam.executor.mpi_places import Place, ScriptNodes, Use, find_place

NODES = ScriptNodes(hosts=(("n1", 4), ("n2", 4)))


def parsed(name: str, text: str) -> Call:
    return parse_call(name, text.split(), {"HOME": "/home/me"})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("mpirun", "-np 8 --bind-to core ./a -n 3", Call(argv=("./a", "-n", "3"), ranks=8)),
        ("mpiexec", "-n 4 -ppn 2 -hosts n1,n2 ./a", Call(argv=("./a",), ranks=4, ranks_per_node=2, hosts=("n1", "n2"))),
        ("mpirun", "--mca btl self -x HOME ./a", Call(argv=("./a",), environment={"HOME": "/home/me"})),
        ("mpirun", "-genv A b -x C=d ./a", Call(argv=("./a",), environment={"A": "b", "C": "d"})),
        ("mpirun", "--map-by ppr:2:node:PE=3 ./a", Call(argv=("./a",), ranks_per_node=2, threads=3)),
        ("srun", "-N2 -n4 -c 2 --mpi=pmi2 -l ./a -v", Call(argv=("./a", "-v"), nodes=2, ranks=4, threads=2)),
        ("srun", "--ntasks=4 -w n[1-2] --overlap ./a", Call(argv=("./a",), ranks=4, hosts=("n1", "n2"), shares=True)),
        ("aprun", "-n 8 -N 4 -d 2 -cc depth ./a", Call(argv=("./a",), ranks=8, ranks_per_node=4, threads=2)),
        ("jsrun", "-n 4 -a 2 -c 4 -r 2 ./a", Call(argv=("./a",), ranks=8, threads=2, ranks_per_node=4)),
        ("jsrun", "-n 4 -g 2 ./a", Call(argv=("./a",), ranks=4, threads=1, gpus_per_rank=2)),
    ],
)  # fmt: skip
def test_calls_are_understood_alike(name: str, text: str, expected: Call) -> None:
    assert parsed(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mpirun", "-n x ./a", "no number"),
        ("mpirun", "-n", "no value"),
        ("srun", "-n 2", "which program"),
        ("mpirun", "-n 1 ./a : -n 2 ./b", "several programs"),
    ],
)
def test_what_cannot_be_done_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parsed(name, text)


@given(st.sampled_from(NAMES), st.lists(st.text(min_size=1)))
def test_any_words_give_a_call_or_a_clear_error(name: str, words: list[str]) -> None:
    try:
        assert parse_call(name, words, {}).argv
    except UserError as error:
        assert str(error)


def place(call: Call, *uses: Use, nodes: ScriptNodes = NODES) -> Place | None:
    return find_place("mpirun", call, nodes, uses)


def test_a_program_gets_as_few_nodes_as_it_needs() -> None:
    assert place(Call(argv=("a",), ranks=3)) == Place(("n1",), 3, 3, 1)
    assert place(Call(argv=("a",), ranks=6)) == Place(("n1", "n2"), 6, 4, 1)
    assert place(Call(argv=("a",), ranks=2, nodes=2)) == Place(("n1", "n2"), 2, 1, 1)
    assert place(Call(argv=("a",))) == Place(("n1", "n2"), 8, 4, 1)


def test_programs_side_by_side_get_different_cores_or_wait() -> None:
    first = Use(1, 1, {"n1": 4})
    assert place(Call(argv=("a",), ranks=4), first) == Place(("n2",), 4, 4, 1)
    assert place(Call(argv=("a",), ranks=5), first) is None
    assert place(Call(argv=("a",), ranks=5, shares=True), first) == Place(("n1", "n2"), 5, 4, 1)


def test_gpus_are_not_given_twice() -> None:
    nodes = ScriptNodes(hosts=(("n1", 4),), devices=("0", "1", "2"))
    first = Use(1, 1, {"n1": 1}, ("0", "1"))
    assert place(Call(argv=("a",), ranks=1, gpus_per_rank=1), first, nodes=nodes) == Place(("n1",), 1, 1, 1, ("2",))
    assert place(Call(argv=("a",), ranks=2, gpus_per_rank=1), first, nodes=nodes) is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call(argv=("a",), ranks=9), "9 ranks of 1 core each are asked for, and this job has 2 nodes with room for 8"),
        (Call(argv=("a",), ranks=3, nodes=3), "3 nodes are asked for"),
        (Call(argv=("a",), ranks=5, threads=2), "5 ranks of 2 cores each"),
        (Call(argv=("a",), ranks=1, hosts=("n7",)), "node n7 is not one of this job"),
        (Call(argv=("a",), ranks=1, gpus_per_rank=1), "GPUs"),
    ],
)
def test_more_than_the_job_has_is_refused(call: Call, words: str) -> None:
    with pytest.raises(UserError, match=words):
        place(call)
