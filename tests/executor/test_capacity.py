from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.errors import JobError
from cwlbalsam.executor import capacity
from cwlbalsam.executor.capacity import Capacity, Machine, detect_machine

amounts = st.floats(0, 9, allow_nan=False)
grants = st.builds(Grant, cores=amounts, ram=amounts, tmpdir=amounts, outdir=amounts, gpus=st.integers(0, 2))


@given(
    st.lists(st.one_of(grants, st.integers(0, 20))), st.builds(Machine, amounts, amounts, amounts, st.integers(0, 2))
)
def test_a_machine_is_never_over_committed(steps: list[Grant | int], machine: Machine) -> None:
    books, taken = Capacity(machine), []
    for step in steps:
        if isinstance(step, Grant):
            if books.take(step):
                taken.append(step)
                assert books.fits(step)
        elif step < len(taken):
            books.give_back(taken.pop(step))
        assert sum(grant.cores for grant in taken) <= machine.cores + 1e-9
        assert sum(grant.ram for grant in taken) <= machine.ram + 1e-9
        assert sum(grant.tmpdir + grant.outdir for grant in taken) <= machine.tmpdir + 1e-9
        assert sum(grant.gpus for grant in taken) <= machine.gpus
    for grant in taken:
        books.give_back(grant)
    assert books.free == Capacity(machine).free


def test_fractions_of_a_core_add_up() -> None:
    books = Capacity(Machine(cores=1, ram=10, tmpdir=10))
    quarter = Grant(cores=0.25, ram=1, tmpdir=0, outdir=0)
    assert [books.take(quarter) for _ in range(5)] == [True] * 4 + [False]


def test_what_the_machine_never_has_is_named() -> None:
    with pytest.raises(JobError, match=r"asks for more than this machine has: 5 gpus \(there are 0\)"):
        Capacity(Machine(cores=4, ram=1000, tmpdir=9999)).check(Grant(gpus=5, ram=1))


def test_giving_back_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="given back twice"):
        Capacity(Machine(1, 1, 1)).give_back(Grant(cores=1, ram=0, tmpdir=0, outdir=0))


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({"cpu.max": "150000 100000\n", "memory.max": "1048576\n"}, 1.5, 1048576),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, float("inf"), float("inf")),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": "4096"}, float("inf"), 4096),
        ({}, float("inf"), float("inf")),
    ],
)
def test_cgroup_limits_of_both_versions_are_read(
    tmp_path: Path, files: dict[str, str], cores: float, memory: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert capacity._cgroup_cores(tmp_path) == cores
    assert capacity._cgroup_memory(tmp_path) == memory


def test_limits_of_all_groups_above_the_process_count() -> None:
    groups = capacity._cgroups(Path("/cg"), "1:name=systemd:/x\n0::/slurm/job_7\n")
    assert groups == [Path("/cg"), Path("/cg/slurm"), Path("/cg/slurm/job_7")]
    assert capacity._cgroups(Path("/cg"), "") == [Path("/cg")]


def test_this_machine_has_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-12ab")
    machine = detect_machine(tmp_path)
    assert machine.cores > 0 and machine.ram > 0 and machine.tmpdir > 0 and machine.gpus == 2
