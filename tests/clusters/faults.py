"""What can happen to a run on a cluster: each fault is a function of the scene, where it notes what is to be undone."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.cluster import Cluster
from tests.clusters.place import LEASE_SECONDS, ClusterPlace
from tests.durability.place import kill


@dataclass
class Scene:
    """later: what is still to be done, at which moment of the monotonic clock."""

    place: ClusterPlace
    cluster: Cluster
    coordinator: subprocess.Popen[str]
    random: random.Random
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.later.append((time.monotonic() + seconds, action))

    def catch_up(self, *, all_of_it: bool = False) -> None:
        """Do what is due."""
        for due in sorted(self.later, key=lambda entry: entry[0]):
            if all_of_it or time.monotonic() >= due[0]:
                self.later.remove(due)
                due[1]()


def _kill_one(scene: Scene, pids: list[int]) -> bool:
    if pids:
        kill(scene.random.choice(pids))
    return bool(pids)


def _stop_launcher(scene: Scene, seconds: float) -> bool:
    launchers = scene.place.launchers()
    if not launchers:
        return False
    pid = scene.random.choice(launchers)

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    os.kill(pid, signal.SIGSTOP)
    scene.after(seconds, go_on)
    return True


def _lose_node(scene: Scene, *, daemon: bool) -> bool:
    """One at a time: it is back some seconds later."""
    busy = scene.place.batch_ids() and not any(action.__name__ == "repair" for _, action in scene.later)
    if not busy:
        return False
    node = f"n{scene.random.randint(1, 4)}"

    def repair() -> None:
        scene.cluster.repair(node)

    scene.cluster.fail(node, daemon=daemon)
    scene.after(scene.random.uniform(1, 30), repair)
    return True


def _batch(scene: Scene, *command: str) -> bool:
    pilots = scene.place.batch_ids()
    if pilots:  # it may have ended already: that is as good
        scene.cluster.call(*command, scene.random.choice(pilots), check=False)
    return bool(pilots)


def _kill_coordinator(scene: Scene) -> bool:
    kill(scene.coordinator.pid)
    return True


def _kill_agent(scene: Scene) -> bool:
    return _kill_one(scene, scene.place.agents())


FAULTS: dict[str, Callable[[Scene], bool]] = {
    "worker": lambda scene: _kill_one(scene, scene.place.workers()),
    "inner supervisor": lambda scene: _kill_one(scene, scene.place.inner_supervisors()),
    "outer supervisor": lambda scene: _kill_one(scene, scene.place.outer_supervisors()),
    "launcher": lambda scene: _kill_one(scene, scene.place.launchers()),
    "launcher stopped shortly": lambda scene: _stop_launcher(scene, scene.random.uniform(0.5, LEASE_SECONDS / 2)),
    "launcher stopped for long": lambda scene: _stop_launcher(scene, scene.random.uniform(1.5, 4) * LEASE_SECONDS),
    "agent": _kill_agent,
    "scancel": lambda scene: _batch(scene, "scancel"),
    "requeue": lambda scene: _batch(scene, "scontrol", "requeue"),
    "slurmd": lambda scene: _lose_node(scene, daemon=True),
    "node": lambda scene: _lose_node(scene, daemon=False),
    "coordinator": _kill_coordinator,
    "coordinator and agent": lambda scene: _kill_agent(scene) and _kill_coordinator(scene),
    "database": lambda scene: _kill_one(scene, scene.place.database()),
}
"""Each says whether there was anything to be hit."""
