"""What is known of a roster, as it is kept beside it in the bucket."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from lambda_runtime.rosters import MOST_FAULTS, Counts, EnrollmentOptions, LinkOptions, State
from roster_function.kinds import KINDS, Kind


class Phase(StrEnum):
    """What the requests of a roster are sent for: to see what linking would do, or to link."""

    DRY = "dry"
    LINK = "link"


RUNNING = {State.CHECKING, State.LINKING}
RESUMABLE = {State.STOPPED, State.FAILED}


class Record(BaseModel):
    """A roster. Times are in ISO 8601, in UTC.

    `file` and `version` are the object that was put; `keys` and `batches` are there once the file was found in order
    and cut, `counts` once the roster has ended.
    """

    model_config = ConfigDict(frozen=True)

    roster_id: str
    program_uuid: str
    submitted_by: str
    created: str
    file: str
    options: LinkOptions | EnrollmentOptions = LinkOptions()
    version: str | None = None
    state: State = State.WAITING
    phase: Phase = Phase.LINK
    attempt: int = 0
    started: str | None = None
    ended: str | None = None
    keys: int | None = None
    batches: int | None = None
    faults: list[str] = []
    fault_count: int = 0
    message: str | None = None
    counts: Counts | None = None

    @property
    def execution(self) -> str:
        """The name of the execution that works on it."""
        return f"{self.roster_id}-{self.attempt}"

    @property
    def kind(self) -> Kind:
        """What is done for it in the way of its kind."""
        return KINDS[self.options.kind]

    def but(self, **changes: object) -> "Record":
        """The record with some fields changed."""
        return self.model_copy(update=changes)

    def refused(self, faults: Sequence[str], others: int = 0) -> "Record":
        """The record of a roster that cannot be linked as it is: its first faults, and how many others it has."""
        shown = list(faults[:MOST_FAULTS])
        return self.but(state=State.REFUSED, faults=shown, fault_count=len(faults) + others)


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
