import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import DocumentError, UserError
from cwlbalsam.sites.schedulers import slurm
from cwlbalsam.sites.site import (
    PROTOCOLS,
    MpiSettings,
    NodeSettings,
    PilotSettings,
    SchedulerSettings,
    Site,
    TransferSettings,
    batch_request,
)
from cwlbalsam.sites.sitefields import SITE, json_schema, size_megabytes, span_seconds
from cwlbalsam.sites.sitefile import load_sites, read_sites
from cwlbalsam.sites.transfers import BETWEEN_MACHINES

THETA = """\
theta:
  host: ada@theta
  work: /projects/physics/ada
  scheduler:
    kind: cobalt
    queue: default
    account: physics
    constraint: mcdram=cache
    extra: ["--attrs filesystems=home", "#COBALT -M me"]
  nodes: {cores: 64, memory: 192 GiB, gpus: 4}
  mpi: {launcher: aprun, options: -j 1}
  pilots: {min: 1, max: 4, nodes: 128, total_nodes: 256, wall: 6h, idle: 2m}
  starter: ssh
  transport: spool
  scratch: /local/scratch
  lease: 5m
  containers: [singularity, docker]
  transfers: globus
  modules: [cray-python, gcc/12.1]
  software: [samtools=1.9, bwa]
  setup: |
    export OMP_PLACES=cores
    ulimit -s unlimited
"""


def complaints(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_sites(text, "s.yml")
    return [str(problem) for problem in caught.value.problems]


def test_all_that_can_be_said() -> None:
    assert read_sites(THETA, "s.yml")["theta"] == Site(
        name="theta",
        host="ada@theta",
        work="/projects/physics/ada",
        scheduler=SchedulerSettings(
            kind="cobalt",
            queue="default",
            account="physics",
            constraint="mcdram=cache",
            extra=("--attrs filesystems=home", "#COBALT -M me"),
        ),
        nodes=NodeSettings(cores=64, memory_megabytes=196608, gpus=4),
        mpi=MpiSettings(launcher="aprun", options=("-j 1",)),
        pilots=PilotSettings(min=1, max=4, nodes=128, total_nodes=256, wall_seconds=21600, idle_seconds=120),
        starter="ssh",
        transport="spool",
        scratch="/local/scratch",
        lease_seconds=300,
        containers=("singularity", "docker"),
        transfers=TransferSettings(ways=("globus",)),
        modules=("cray-python", "gcc/12.1"),
        software=("samtools=1.9", "bwa"),
        setup=("export OMP_PLACES=cores", "ulimit -s unlimited"),
        file="s.yml",
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "~\n", "a:\n", "a: ~\n", "a: {}\n", "a:\n  mpi:\n  work: ~\n"])
def test_everything_may_be_left_out(text: str) -> None:
    assert all(site == Site(name="a", file="s.yml") for site in read_sites(text, "s.yml").values())


def test_ways_to_move_files_may_come_with_a_limit() -> None:
    site = read_sites("a: {transfers: {ways: [rsync, scp], at_once: 2}}\nb: {transfers: [tar]}", "s.yml")
    assert site["a"].transfers == TransferSettings(ways=("rsync", "scp"), at_once=2)
    assert site["b"].transfers == TransferSettings(ways=("tar",))
    assert set(PROTOCOLS) == set(BETWEEN_MACHINES)


def test_one_word_stands_for_a_scheduler_and_a_launch_command() -> None:
    site = read_sites("a: {scheduler: slurm, mpi: srun, setup: x}", "s.yml")["a"]
    assert (site.scheduler.kind, site.mpi.launcher, site.setup) == ("slurm", "srun", ("x",))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a:\n  scheduler: slrum", "s.yml:2:14: 'scheduler' cannot be 'slrum'\n    did you mean 'slurm'?"),
        ("a:\n  scheduler: {que: x}", "s.yml:2:15: 'scheduler' has no setting 'que'\n    did you mean 'queue'?"),
        ("a:\n  queue: x", "s.yml:2:3: site 'a' has no setting 'queue'\n    it belongs under 'scheduler'"),
        ("a: {work: here}", "s.yml:1:11: 'work' must be an absolute path: 'here'\n    begin with / or ~/"),
        ("a: {scratch: here}", "s.yml:1:14: 'scratch' must be an absolute path: 'here'"),
        ("a: {host: -oProxyCommand=x}", "s.yml:1:11: '-oProxyCommand=x' is no host"),
        (
            "a: {host: a b}",
            "s.yml:1:11: 'host' must be one word, not 'a b'\n    without spaces, quotes and backslashes",
        ),
        ("a: {nodes: {cores: 1.5}}", "s.yml:1:20: 'cores' must be a whole number, 0 or more, not '1.5'"),
        ("a: {nodes: {memory: lots}}", "s.yml:1:21: 'memory' must be a size such as 192 GiB, not 'lots'"),
        ("a: {pilots: {wall: 2}}", "s.yml:1:20: 'wall' must be a time such as 2h, 90m or 02:00:00, not '2'"),
        ("a: {pilots: {min: 9}}", "s.yml:1:13: at least 9 pilots and at most 4 cannot be kept"),
        ("a: {containers: [podmann]}", "s.yml:1:18: 'containers' cannot be 'podmann'\n    did you mean 'podman'?"),
        ("a: {mpi: [srun]}", "s.yml:1:10: 'mpi' must be one word"),
        ("a: {nodes: 4}", "s.yml:1:12: 'nodes' must be a mapping of settings"),
        ("a: 4", "s.yml:1:4: site 'a' must be a mapping of settings"),
        ("- a", "s.yml:1:1: a site file is a mapping from names of sites to their settings"),
        ("a: {}\na: {}", "s.yml:2:1: 'a' is there twice\n    first in line 1"),
        ("? [a]\n: {}", "s.yml:1:3: a name is expected here"),
        ("a: {", "s.yml:1:5: syntax error: expected the node content, but found '<stream end>'"),
        (
            "a: {password: x}",
            "s.yml:1:5: site 'a' has no setting 'password'\n"
            "    secrets never stand in a site file: ssh takes them from its agent and ~/.ssh/config",
        ),
        ('a: {scheduler: {extra: "a\\nb"}}', "s.yml:1:24: 'extra' must be one line, not 'a\\nb'"),
        ('a: {scheduler: {account: "a\\nb"}}', "s.yml:1:26: 'account' must be one word, not 'a\\nb'"),
        ("b a: {}", "s.yml:1:1: 'b a' is no name for a site\n    letters, digits, '.', '_' and '-' can stand in it"),
    ],
)
def test_a_mistake_has_a_place_and_a_way_out(text: str, complaint: str) -> None:
    (found,) = complaints(text)
    assert found.startswith(complaint)


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text("a:\n  works: x\n  hosts: y\n")
    (tmp_path / "two.yml").write_text("b:\n  mpi: sprun\n")
    with pytest.raises(DocumentError) as caught:
        load_sites([tmp_path / "one.yml", tmp_path / "two.yml"])
    places = [Path(problem.place).name for problem in caught.value.problems]
    assert places == ["one.yml:2:3", "one.yml:3:3", "two.yml:2:8"]


def test_a_later_file_counts_and_local_is_always_there(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text("a: {host: first}\nb: {}\n")
    (tmp_path / "two.yml").write_text("a: {host: second}\n")
    sites = load_sites([tmp_path / "one.yml", tmp_path / "two.yml"])
    assert list(sites) == ["local", "a", "b"]
    assert sites["a"].host == "second"
    assert sites["local"] == Site(name="local")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the site file .*No such file"):
        load_sites([tmp_path / "none.yml"])
    (tmp_path / "latin.yml").write_bytes(b"a: \xff")
    with pytest.raises(UserError, match="not in UTF-8"):
        load_sites([tmp_path / "latin.yml"])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {scheduler: *x}",
        "a: &x\n  mpi: *x\n",
        "[" * 1500,
        "a: " + "{b: " * 1000,
        "\x00",
        "a: !!python/object:os.system x",
        "%YAML 9.9\n---\na: {}",
    ],
)
def test_strange_yaml_is_an_error_and_no_crash(text: str) -> None:
    assert complaints(text)


@given(text=st.text(max_size=200))
def test_no_text_whatever_crashes_the_reader(text: str) -> None:
    try:
        read_sites(text, "s.yml")
    except DocumentError as error:
        assert error.problems


@given(data=st.data())
def test_a_damaged_file_is_read_or_complained_of(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(THETA)))
    end = data.draw(st.integers(start, min(start + 20, len(THETA))))
    text = THETA[:start] + data.draw(st.text("abc:{}[]&*#-|>'\"\n 1", max_size=8)) + THETA[end:]
    try:
        read_sites(text, "s.yml")
    except DocumentError as error:
        assert all(re.match(r"s\.yml(:\d+:\d+)?$", problem.place) for problem in error.problems)


@pytest.mark.parametrize(("text", "size"), [("4000", 4000), ("192 GiB", 196608), ("1.5t", 1572864), ("512MB", 512)])
def test_sizes(text: str, size: int) -> None:
    assert size_megabytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90 m", 5400), ("02:30", 9000), ("00:00:30", 30), ("1-12:00:00", 129600)]
)
def test_times(text: str, seconds: float) -> None:
    assert span_seconds(text) == seconds


def test_the_schema_for_editors_knows_every_setting_and_is_json() -> None:
    schema = json_schema()
    (site,) = schema["patternProperties"].values()
    assert list(site["properties"]) == list(SITE)
    assert all(field["description"] for field in site["properties"].values())
    msgspec.json.encode(schema)


def test_a_batch_job_of_a_site_has_its_queue_modules_and_set_up() -> None:
    site = read_sites(THETA.replace("cobalt", "slurm").replace("#COBALT -M me", "--qos=high"), "s.yml")["theta"]
    text = slurm.script(batch_request(site, name="p", body="run", directory="/d", output="/o", nodes=3))
    lines = text.splitlines()
    assert "#SBATCH --account=physics" in lines
    assert "#SBATCH --qos=high" in lines
    assert lines[-4:] == ["module load cray-python gcc/12.1", "export OMP_PLACES=cores", "ulimit -s unlimited", "run"]
