import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.service.directives import Directives, clock_seconds, read_directives, slurm_seconds


def test_a_slurm_script_says_what_it_wants() -> None:
    found = read_directives(
        "#!/bin/bash\n#SBATCH --job-name=fit   # a comment\n#SBATCH -N 2 --ntasks-per-node 8\n#SBATCH -c4 -t 1-02:00\n"
        "#SBATCH --mem=4G --gres=gpu:a100:2 -p big -A proj --unheard-of=x\n\necho\n#SBATCH -N 99\n"
    )
    assert found == Directives(
        name="fit",
        nodes=2,
        ranks_per_node=8,
        cores=4,
        wall_seconds=93_600,
        memory_megabytes=4096,
        gpus=2,
        queue="big",
        account="proj",
    )
    assert found.all_ranks == 16


def test_pbs_scripts_of_both_kinds_say_what_they_want() -> None:
    chunk = read_directives("#!/bin/sh\n#PBS -N fit -l select=2:ncpus=8:mpiprocs=4:mem=2gb:ngpus=1,walltime=01:30:00\n")
    assert (chunk.nodes, chunk.ranks_per_node, chunk.cores, chunk.gpus) == (2, 4, 2, 1)
    assert (chunk.memory_megabytes, chunk.wall_seconds, chunk.all_ranks) == (2048, 5400, 8)
    old = read_directives("#PBS -l nodes=3:ppn=2\n#PBS -l walltime=600\n#PBS -J 1-9\n")
    assert (old.nodes, old.all_ranks, old.wall_seconds, old.array) == (3, 6, 600, "1-9")


def test_lsf_and_cobalt_scripts_say_what_they_want() -> None:
    lsf = read_directives('#BSUB -J "fit[1-4]" -nnodes 2 -W 1:30 -o out.%J\n')
    assert (lsf.name, lsf.array, lsf.nodes, lsf.wall_seconds, lsf.output) == ("fit", "1-4", 2, 5400, "out.%J")
    cobalt = read_directives("#COBALT -n 4 -t 30 -q debug\n")
    assert (cobalt.nodes, cobalt.wall_seconds, cobalt.queue) == (4, 1800, "debug")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 300), ("5:30", 330), ("1:00:00", 3600), ("1-0", 86_400), ("1-2:3:4", 93_784), ("x", None), ("0", None)],
)
def test_slurm_writes_times_in_many_ways(text: str, seconds: float | None) -> None:
    assert slurm_seconds(text) == seconds


def test_a_clock_time_of_two_numbers_is_hours_or_minutes() -> None:
    assert clock_seconds("1:30", unit=60, two=3600) == 5400
    assert clock_seconds("1:30", unit=1) == 61 + 29


LINES = st.lists(st.tuples(st.sampled_from(["#SBATCH ", "#PBS -l ", "#PBS ", "#BSUB ", "#COBALT ", "# "]), st.text()))


@given(LINES)
def test_no_text_is_an_error(lines: list[tuple[str, str]]) -> None:
    found = read_directives("\n".join(prefix + text for prefix, text in lines))
    assert found.nodes is None or found.nodes > 0
