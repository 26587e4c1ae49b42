"""What a resumed run remembers of its earlier parts."""

from collections.abc import Mapping

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.executor.live import LiveJob, Remembered
from cwlbalsam.jobs.model import JobKind
from cwlbalsam.parser.expand import Planned


class Memory:
    """By name and kind of a job, which do not depend on how a run went. Empty, and false, for a run that is new."""

    def __init__(self, known: Mapping[tuple[str, JobKind], Remembered] | None = None) -> None:
        self._known = known or {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def ids(self) -> dict[tuple[str, JobKind], int]:
        return {key: known.id for key, known in self._known.items()}

    def of(self, plan: Planned) -> Remembered | None:
        return self._known.get((plan.name, plan.kind))

    def is_current(self, job: LiveJob) -> bool:
        """Whether its attempt is still the remembered one."""
        known = self.of(job.plan)
        return known is not None and known.attempt == job.attempt

    def outcome(self, job: LiveJob) -> Outcome | None:
        """What the job ended with before, if it would do the same again."""
        known = self.of(job.plan)
        outcome = known.outcome if known is not None and known.attempt == job.attempt else None
        return outcome if outcome is not None and outcome.fingerprint == job.fingerprint else None
