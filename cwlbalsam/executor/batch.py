"""Pilots as batch jobs: what a site's scheduler is asked for them."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import ANY_PILOT, PilotKind
from cwlbalsam.jobs.batch import BatchState, MachineState
from cwlbalsam.sites.schedulers import ask
from cwlbalsam.sites.schedulers.base import BatchRequest

SCRIPT = "script"
OUTPUT = "output"


class BatchSystem(Struct, frozen=True):
    """form: what all pilots of the site have in common. All raise UserError with the scheduler's own words."""

    site: ask.Site
    form: BatchRequest

    async def submit(
        self, name: str, folder: Path, body: str, nodes: int, wall_seconds: int, pilot: PilotKind = ANY_PILOT
    ) -> str:
        """Returns the batch id. pilot: what is other than in the form."""
        script = self._written(name, folder, body, nodes, wall_seconds, pilot)
        return await ask.submit(self.site, str(script), name)

    async def try_out(self, folder: Path, wall_seconds: int, pilot: PilotKind) -> None:
        """Raises UserError if no pilot of this kind would be taken. folder: for the script that is tried."""
        script = self._written("cwlbalsam-trial", folder, "true", 1, wall_seconds, pilot)
        await ask.earliest_start(self.site, str(script))

    def _written(self, name: str, folder: Path, body: str, nodes: int, wall_seconds: int, pilot: PilotKind) -> Path:
        request = replace(
            self.form,
            queue=pilot.queue or self.form.queue,
            account=pilot.account or self.form.account,
            constraint=pilot.constraint or self.form.constraint,
            name=name,
            body=body,
            directory=str(folder),
            output=str(folder / OUTPUT),
            nodes=nodes,
            wall_seconds=wall_seconds,
        )
        script = folder / SCRIPT
        script.write_text(self.site.scheduler.script(request), encoding="utf-8")
        return script

    async def states(self, batch_ids: Sequence[str]) -> dict[str, BatchState]:
        return await ask.statuses(self.site, batch_ids)

    async def cancel(self, batch_ids: Sequence[str]) -> None:
        await ask.cancel(self.site, batch_ids)

    @property
    def tells(self) -> bool:
        """Whether it can be asked for everybody's batch jobs."""
        return bool(self.site.scheduler.jobs_command())

    async def machine(self) -> MachineState:
        return await ask.machine(self.site)
