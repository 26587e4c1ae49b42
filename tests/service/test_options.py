from pathlib import Path

import msgspec
import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.options import RunOptions, load_mpi_config, preserved_environment


def test_options_survive_being_stored() -> None:
    options = RunOptions(outdir="x", environment=("A",), targets=("t",), cores=2.5)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(options), type=RunOptions) == options


def test_an_mpi_file_has_the_keys_of_cwltool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mpi.yml").write_text(
        "runner: srun\nnproc_flag: --ntasks\nextra_flags: [--mpi=pmi2]\nenv_pass: [A]\nenv_pass_regex: ['B_.*']\n"
        "env_set: {C: '3'}"
    )
    for name in ("A", "B_1", "D"):
        monkeypatch.setenv(name, "1")
    config = load_mpi_config(str(tmp_path / "mpi.yml"))
    assert config.command == ("srun", "--mpi=pmi2", "--ntasks")
    assert config.environment() == {"A": "1", "B_1": "1", "C": "3"}
    assert load_mpi_config("").command == ("mpirun", "-n")


@pytest.mark.parametrize("text", ["runer: x", "env_pass: 3", "env_pass_regex: ['(']"])
def test_mistakes_in_an_mpi_file_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "mpi.yml").write_text(text)
    with pytest.raises(UserError, match="MPI configuration"):
        load_mpi_config(str(tmp_path / "mpi.yml"))


def test_jobs_get_the_variables_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "1")
    assert preserved_environment(RunOptions(environment=("A", "NOT_SET"))) == {"A": "1"}
    assert preserved_environment(RunOptions()) == {}
    assert preserved_environment(RunOptions(entire_environment=True))["A"] == "1"
