"""What a caller hands in, a row for each external user key, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from program_enrollments.errors import Refused
from program_enrollments.limits import LONGEST_KEY, LONGEST_SLUG, MOST_KEYS, checked_options, checked_text, checked_uuid
from program_enrollments.masters_track import KeptEnrollment


class ProgramRow(NamedTuple):
    """A key, the status that it is to have in the program, and in which curriculum; None stands for all it has."""

    student_key: str
    status: str
    curriculum_uuid: str | None = None


class CourseRow(NamedTuple):
    """A key, the status that it is to have in the course, and its curriculum; None stands for all it has.

    `course_staff` gives the course's staff role or takes it; None leaves it as it is.
    """

    student_key: str
    status: str
    curriculum_uuid: str | None = None
    course_staff: bool | None = None


class Verdict(StrEnum):
    """Why a row was not written; the words are those of Open edX's REST API."""

    DUPLICATED = "duplicated"
    INVALID_STATUS = "invalid-status"
    CONFLICT = "conflict"
    NOT_IN_PROGRAM = "not-in-program"
    NOT_FOUND = "not-found"
    INTERNAL_ERROR = "internal-error"


class ActiveElsewhere(NamedTuple):
    """A program-course enrollment that is active in the same course through another program, and so in the way."""

    program_course_enrollment_id: int
    program_uuid: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of each key, in request order: the status that it has now, or a verdict.

    `refusals` has what the server said of each `internal-error`.
    """

    statuses: dict[str, str] = field(default_factory=dict)
    refusals: list[Refused] = field(default_factory=list)
    kept_enrollments: list[KeptEnrollment] = field(default_factory=list)
    active_elsewhere: list[ActiveElsewhere] = field(default_factory=list)

    @property
    def verdicts(self) -> dict[str, str]:
        """The keys that do not have the status that was asked for, with why not."""
        return {key: str(status) for key, status in self.statuses.items() if isinstance(status, Verdict)}

    @property
    def failed(self) -> int:
        """How many keys do not have the status that was asked for."""
        return len(self.verdicts)


def checked[R: (ProgramRow, CourseRow)](rows: Sequence[R], kind: type[R], *, create: bool, update: bool) -> list[R]:
    """The rows, their curricula in the usual spelling; raise `ValueError` for what cannot be taken as given.

    A status that nobody knows is a verdict on its row instead.
    """
    checked_options(create=create, update=update)
    if not (create or update):
        raise ValueError("give create, update or both")
    if not isinstance(rows, Sequence):
        raise ValueError("the rows are not a sequence")  # noqa: TRY004 - one exception for all that is refused
    if len(rows) > MOST_KEYS:
        raise ValueError(f"{len(rows):,} rows are more than {MOST_KEYS:,}")
    return [_checked(number, row, kind, create=create) for number, row in enumerate(rows)]


def checked_slug(slug: str) -> str:
    """The slug of an identity provider; raise `ValueError` for what cannot be one: a colon is what ends it in an id."""
    if ":" in checked_text("idp", slug, LONGEST_SLUG):
        raise ValueError(f"idp {slug!r} has a colon")
    return slug


def _checked[R: (ProgramRow, CourseRow)](number: int, row: R, kind: type[R], *, create: bool) -> R:
    if not isinstance(row, kind):
        raise ValueError(f"row {number} is no {kind.__name__}")  # noqa: TRY004 - likewise
    try:
        return _checked_fields(row, create=create)
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from None


def _checked_fields[R: (ProgramRow, CourseRow)](row: R, *, create: bool) -> R:
    checked_text("student_key", row.student_key, LONGEST_KEY)
    if not isinstance(row.status, str):
        raise ValueError(f"status {row.status!r} is not a string")  # noqa: TRY004 - likewise
    if isinstance(row, CourseRow) and row.course_staff is not None:
        checked_options(course_staff=row.course_staff)
    if row.curriculum_uuid is None:
        if create and isinstance(row, ProgramRow):
            raise ValueError("a new enrollment needs a curriculum_uuid")
        return row
    curriculum = checked_uuid("curriculum_uuid", row.curriculum_uuid)
    return row if curriculum == row.curriculum_uuid else row._replace(curriculum_uuid=curriculum)
