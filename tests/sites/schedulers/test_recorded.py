"""Recorded output of each scheduler, read to the letter."""

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import SCHEDULERS, cobalt, flux, lsf, pbs, slurm, torque
from cwlbalsam.sites.schedulers.base import Node, shapes_of
from tests.sites.schedulers.recorded import NOW, recorded

QUEUED, HELD, RUNNING = BatchState.QUEUED, BatchState.HELD, BatchState.RUNNING
FINISHED, FAILED, UNKNOWN = BatchState.FINISHED, BatchState.FAILED, BatchState.UNKNOWN


def test_batch_ids() -> None:
    ids = {kind: scheduler.parse_submit(recorded(kind, "submit")) for kind, scheduler in SCHEDULERS.items()}
    assert ids == {
        "local": "4242.1795785",
        "slurm": "1234",
        "pbs": "2154.edtb-01.mcp.alcf.anl.gov",
        "torque": "1234.server.example",
        "lsf": "12345678",
        "cobalt": "199863",
        "flux": "15032385536",
    }


def test_states() -> None:
    def states(kind: str) -> list[BatchState]:
        return list(SCHEDULERS[kind].parse_status(recorded(kind, "status")).values())

    assert states("slurm") == [RUNNING, QUEUED, HELD, QUEUED, FAILED, FAILED, FINISHED, UNKNOWN]
    assert states("pbs") == [RUNNING, QUEUED, HELD, FINISHED, FAILED, FAILED, UNKNOWN]
    assert states("torque") == [RUNNING, FINISHED, HELD]
    assert states("lsf") == [RUNNING, QUEUED, HELD, FINISHED, FAILED, UNKNOWN, UNKNOWN]
    assert states("cobalt") == [RUNNING, QUEUED, HELD, RUNNING, UNKNOWN]
    assert states("flux") == [FINISHED]
    assert states("local") == [RUNNING, FINISHED]


def test_slurm() -> None:
    batch, short = slurm.parse_queues(recorded("slurm", "queues"))
    assert batch == Queue(name="batch", nodes=4, max_wall_seconds=86400, default=True)
    assert short == Queue(name="short", nodes=4, max_nodes=2, max_wall_seconds=300, open=False)
    nodes = slurm.parse_nodes(recorded("slurm", "nodes"))
    assert [(node.name, node.usable, node.free, node.gpus) for node in nodes] == [
        ("n1", True, False, 0),
        ("n2", True, True, 4),
        ("n3", True, False, 4),
        ("n4", False, False, 4),
        ("n5", False, False, 4),
        ("n6", True, True, 0),  # asleep: woken for a batch job
    ]
    assert nodes[1] == Node(
        name="n2", cores=64, memory_megabytes=512000, gpus=4, queues=("short", "batch"), usable=True, free=True
    )
    waiting, held, running = slurm.parse_jobs(recorded("slurm", "jobs"), NOW)
    assert (waiting.state, held.state, held.wall_seconds, waiting.name) == (QUEUED, HELD, 0.0, "a|b.sh")
    assert running == BatchJob(
        id="1",
        state=RUNNING,
        nodes=4,
        cores=16,
        wall_seconds=87000,
        queue="batch",
        user="ada",
        submitted=1795785314,
        started=1795785315,
        ends=1795872115,
        priority=4294901759,
    )
    assert slurm.parse_reservations(recorded("slurm", "reservations"), NOW) == (
        Reservation(name="maintenance", nodes=3, starts=1795790000, ends=1795797200),
    )
    assert slurm.parse_reservations("No reservations in the system\n", NOW) == ()
    assert slurm.parse_start(recorded("slurm", "start")) == 1795786095
    assert slurm.parse_start("sbatch: Job 4 to start at 2026-11-27T13:28:15 using 16") == 1795786095


def test_pbs() -> None:
    running, waiting, held, odd = pbs.parse_jobs(recorded("pbs", "jobs"), NOW)
    assert running == BatchJob(
        id="12860476.polaris-pbs-01",
        state=RUNNING,
        nodes=2,
        cores=128,
        wall_seconds=3600,
        queue="prod",
        user="ada",
        submitted=1664911200,
        started=1664911214,
        ends=1664914814,
        priority=150,
        name="fit",
    )
    assert (waiting.state, waiting.nodes, waiting.wall_seconds, waiting.name) == (QUEUED, 40, 21600, "inf")
    assert (held.state, held.name, odd.state) == (HELD, "007", UNKNOWN)
    prod, old = pbs.parse_queues(recorded("pbs", "queues"))
    assert prod == Queue(name="prod", nodes=16, min_nodes=2, max_nodes=4, max_wall_seconds=3600, max_queued=5)
    assert (old.name, old.open) == ("old", False)
    nodes = pbs.parse_nodes(recorded("pbs", "nodes"))
    assert [(node.name, node.usable, node.free) for node in nodes] == [
        ("x1", True, True),
        ("x2", True, False),
        ("x3", False, False),
        ("x4", False, False),
    ]
    assert (nodes[0].cores, nodes[0].memory_megabytes, nodes[0].gpus, nodes[0].queues) == (
        64,
        515305,
        4,
        ("prod", "inner"),
    )
    assert pbs.parse_reservations(recorded("pbs", "reservations"), NOW) == (
        Reservation(name="maintenance", nodes=100, starts=1665410400, ends=1665439200),
    )


def test_torque_and_wrappers() -> None:
    one, two = torque.parse_jobs(recorded("torque", "jobs"), NOW)
    assert (one.id, one.user, one.started, one.ends) == ("8.server", "ada", NOW - 600, NOW + 3000)
    assert (two.id, two.nodes, two.cores, two.wall_seconds) == ("9", 2, 6, 300)
    assert torque.parse_queues(recorded("torque", "queues")) == (
        Queue(name="batch"),
        Queue(name="long", max_nodes=8, max_wall_seconds=259200, max_queued=20),
    )
    nodes = torque.parse_nodes(recorded("torque", "nodes"))
    assert [(node.name, node.usable, node.free, node.cores, node.gpus) for node in nodes] == [
        ("n1", True, False, 4, 0),
        ("n2", True, False, 16, 2),
        ("n3", True, True, 16, 0),
        ("n4", False, False, 16, 0),
    ]
    assert nodes[1].memory_megabytes == 64403


def test_lsf() -> None:
    now = 1766952000.0  # 2025-12-28 20:00
    running, waiting, held = [job for job in lsf.parse_jobs(recorded("lsf", "jobs"), now) if job.user]
    assert running == BatchJob(
        id="806290",
        state=RUNNING,
        nodes=2,
        cores=84,
        wall_seconds=86400,
        queue="batch",
        user="ada",
        submitted=1766951400,
        started=1766951760,
        ends=1766951760 + 86400,
        priority=50,
        name="fit",
    )
    assert (waiting.state, waiting.nodes, waiting.cores, waiting.wall_seconds) == (QUEUED, 0, 420, 7200)
    assert (waiting.submitted, held.state) == (1766951941, HELD)
    assert lsf.parse_queues(recorded("lsf", "queues")) == (
        Queue(name="normal", max_wall_seconds=86400, default=True),
        Queue(name="night", open=False),
    )
    nodes = lsf.parse_nodes(recorded("lsf", "nodes"))
    assert [(node.name[-1], node.usable, node.free, node.cores) for node in nodes] == [
        ("a", True, True, 44),
        ("b", True, False, 44),
        ("c", False, False, 44),
        ("d", False, False, 42),
        ("e", True, False, 44),
    ]
    assert lsf.parse_reservations(recorded("lsf", "reservations"), now) == (
        Reservation(name="user1#0", nodes=2, starts=1767016800, ends=1767031200),
    )


def test_cobalt() -> None:
    running, held, odd = cobalt.parse_jobs(recorded("cobalt", "jobs"), 1547544600.0)
    assert running == BatchJob(
        id="199862",
        state=RUNNING,
        nodes=128,
        wall_seconds=7200,
        queue="default",
        user="ada",
        submitted=1547541600,
        started=1547542800,
        ends=1547550000,
        priority=102,
        name="fit",
    )
    assert (held.state, held.nodes, held.submitted, odd.state) == (HELD, 1024, 1547544600 - 381261, UNKNOWN)
    assert cobalt.parse_queues(recorded("cobalt", "queues")) == (
        Queue(name="default", nodes=4392, max_nodes=4096, max_wall_seconds=86400, max_queued=20),
        Queue(name="debug-cache-quad", nodes=16, max_nodes=8, max_wall_seconds=3600, max_queued=1, open=False),
    )
    nodes = cobalt.parse_nodes(recorded("cobalt", "nodes"))
    assert [(node.name, node.usable, node.free) for node in nodes] == [
        ("0", True, True),
        ("1", True, False),
        ("2", False, False),
        ("3", True, False),
    ]
    assert nodes[0].queues == ("debug-cache-quad", "default")
    assert cobalt.parse_reservations(recorded("cobalt", "reservations"), NOW) == (
        Reservation(name="maint", nodes=5, starts=1547560800, ends=1547560800 + 30600),
    )


def test_flux() -> None:
    running, waiting, held = flux.parse_jobs(recorded("flux", "jobs"), NOW)
    assert (running.id, running.nodes, running.cores, running.user) == ("15032385536", 6, 624, "ada")
    assert running.ends - running.started == 3600
    assert (waiting.state, waiting.wall_seconds, held.state) == (QUEUED, 0.0, HELD)
    assert flux.parse_queues(recorded("flux", "queues")) == (
        Queue(name="batch", min_nodes=2, max_nodes=10, max_wall_seconds=86400, default=True),
        Queue(name="debug", max_wall_seconds=1800, open=False),
    )
    nodes = flux.parse_nodes(recorded("flux", "nodes"))
    assert [(node.name, node.usable, node.free, node.cores, node.gpus) for node in nodes] == [
        ("burst40", True, True, 96, 8),
        ("burst41", True, True, 96, 8),
        ("burst42", True, False, 96, 8),
        ("burst43", True, False, 96, 8),
        ("burst44", False, False, 96, 8),
        ("burst45", True, False, 96, 8),
    ]


def test_nodes_that_are_alike_are_counted_and_unusable_ones_left_out() -> None:
    shapes = shapes_of(flux.parse_nodes(recorded("flux", "nodes")))
    assert [(shape.count, shape.cores, shape.queues) for shape in shapes] == [(4, 96, ("batch",)), (1, 96, ("debug",))]
