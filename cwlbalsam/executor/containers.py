"""The containers of one worker: images are made ready by a child process, so that the worker's loop never waits."""

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.records import Docker
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import JobError
from cwlbalsam.executor.spawn import signal_group

if TYPE_CHECKING:
    from cwlbalsam.cwl.execution import Command


def container_prefix(run: str) -> str:
    """What the names of a run's containers begin with."""
    return f"cwlbalsam-{run}-" if run else "cwlbalsam-"


class _Image(Struct, eq=False):
    """An image that somebody asked for; `waiting` until its name or its error is known."""

    name: str = ""
    error: str = ""
    waiting: list[Callable[[], None]] = []
    answer: str = ""  # file that the child process leaves


class Containers:
    def __init__(self, settings: Settings, folder: str) -> None:
        self._settings = settings
        self._folder = folder
        self._images: dict[Docker, _Image] = {}
        self._children: dict[int, _Image] = {}
        self._started = 0
        self._unique = f"{container_prefix(settings.run)}{os.getpid()}-{os.urandom(4).hex()}"

    def when_ready(self, docker: Docker, then: Callable[[], None]) -> None:
        """Call `then` once the image is there, or known to be unobtainable."""
        if not self._settings.engine:
            raise JobError("the job needs a container, but there is no container engine", place=docker.place)
        image = self._images.get(docker)
        if image is None:
            image = self._images[docker] = _Image(answer=f"{self._folder}/image-{len(self._images)}")
            self._children[self._fork(docker, image.answer)] = image
        if image.name or image.error:
            then()
        else:
            image.waiting.append(then)

    def _fork(self, docker: Docker, answer: str) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            Path(answer).write_text(_answer(self._settings, docker))
        finally:
            os._exit(0)

    @property
    def were_used(self) -> bool:
        return self._started > 0

    def ended(self, pid: int) -> bool:
        """Whether this child was one of ours; it is reaped then."""
        image = self._children.pop(pid, None)
        if image is None:
            return False
        os.waitpid(pid, 0)
        try:
            answer = Path(image.answer).read_text()
        except OSError:
            answer = ""
        image.name = answer[1:] if answer.startswith("+") else ""
        image.error = "" if image.name else answer[1:] or "the process that makes the container image ready died"
        waiting, image.waiting = image.waiting, []
        for then in waiting:
            then()
        return True

    def client_command(self, command: "Command") -> tuple["Command", str]:
        """What to start for a container's command, and the container's name if it has to be killed by name."""
        from cwlbalsam.sites.containers import ENGINES
        from cwlbalsam.sites.containers.base import Run

        spec = command.container
        if spec is None:
            raise ValueError("not a container's command")
        image = self._images[spec.docker]
        if image.error:
            raise JobError(image.error)
        self._started += 1
        name = f"{self._unique}-{self._started}"
        engine, binary = ENGINES[self._settings.engine], self._binary()
        run = Run(binary=binary, spec=spec, argv=command.argv, image=image.name, name=name, stdin=bool(command.stdin))
        launch = engine.run_command(run)
        # The client is the user's own program; the mark tells what a killed run has left.
        environment = {**os.environ, **launch.environment, "CWLBALSAM_JOB": f"{command.cwd}/"}
        return replace(command, argv=launch.argv, environment=environment), name if engine.kill_command(
            binary, name
        ) else ""

    def _binary(self) -> str:
        from cwlbalsam.sites.containers import find_binary

        return self._settings.engine_binary or find_binary(self._settings.engine)

    def kill(self, name: str) -> None:
        from cwlbalsam.sites.containers import ENGINES

        command = ENGINES[self._settings.engine].kill_command(self._binary(), name)
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        os.posix_spawn(command[0], command, os.environ, file_actions=null, setpgroup=0)

    def close(self) -> None:
        for pid in self._children:
            signal_group(pid, signal.SIGTERM)


def _answer(settings: Settings, docker: Docker) -> str:
    from cwlbalsam.sites.containers.images import ensure_image, images_folder

    try:
        image = ensure_image(
            settings.engine, docker, images_folder(), binary=settings.engine_binary, pull=settings.pull
        )
        return f"+{image}"
    except JobError as error:
        return f"-{error}"
    except Exception:
        return f"-cannot make the container image ready: {traceback.format_exc()}"
