"""What goes into the writing of enrollments and what comes out, as pydantic models."""

from http import HTTPStatus
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, RootModel, StringConstraints, model_validator

from lambda_runtime.fields import CourseKey, Option, Slug
from lambda_runtime.refusals import Fields, fault
from link_function.requests import CODE_BYTES, LARGEST_ANSWER, ExternalUserKey, answer_bytes
from program_enrollments.enrolling.rows import CourseRow, ProgramRow, Written
from program_enrollments.limits import LONGEST_STATUS, MOST_KEYS

KEY_DESCRIPTION = "The student's external user key."
CURRICULUM_DESCRIPTION = "The curriculum; without it, all that the key has in the program."
# A status that nobody knows is a verdict on its row, so that the words are not listed as the only ones.
Status = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_STATUS)]


def _text(uuid: UUID | None) -> str | None:
    return None if uuid is None else str(uuid)


class ProgramRowFields(Fields):
    """A key and the status that it is to have in the program."""

    student_key: Annotated[ExternalUserKey, Field(description=KEY_DESCRIPTION)]
    status: Annotated[Status, Field(description="enrolled, pending, suspended, canceled or ended")]
    curriculum_uuid: Annotated[UUID, Field(description=CURRICULUM_DESCRIPTION)] = None  # type: ignore[assignment]

    @property
    def row(self) -> ProgramRow:
        """The row as the core takes it."""
        return ProgramRow(self.student_key, self.status, _text(self.curriculum_uuid))


class NewProgramRowFields(ProgramRowFields):
    """A key, the status that it is to have in the program, and the curriculum that it comes into."""

    curriculum_uuid: Annotated[UUID, Field(description="The curriculum.")]


class CourseRowFields(Fields):
    """A key and the status that it is to have in the course."""

    student_key: Annotated[ExternalUserKey, Field(description=KEY_DESCRIPTION)]
    status: Annotated[Status, Field(description="active or inactive")]
    curriculum_uuid: Annotated[UUID, Field(description=CURRICULUM_DESCRIPTION)] = None  # type: ignore[assignment]
    course_staff: Annotated[
        Option, Field(description="Give the course's staff role, or take it; without this, it is left as it is.")
    ] = None  # type: ignore[assignment]

    @property
    def row(self) -> CourseRow:
        """The row as the core takes it."""
        return CourseRow(self.student_key, self.status, _text(self.curriculum_uuid), self.course_staff)


class WriteRequest[R: (ProgramRowFields, CourseRowFields)](Fields):
    """Rows to write: `create` makes what is not there, `update` changes what is; one of them has to be given."""

    program_uuid: UUID
    enrollments: Annotated[list[R], Field(max_length=MOST_KEYS)]
    create: Option = False
    update: Option = False
    dry_run: Option = False

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        if not (self.create or self.update):
            raise fault("neither_way")
        return self

    @model_validator(mode="after")
    def _answer_fits(self) -> Self:
        """Refuse what might be answered with more than Lambda can give."""
        keys = [row.student_key for row in self.enrollments]
        if answer_bytes(keys) + CODE_BYTES * len(keys) > LARGEST_ANSWER:
            raise fault("answer_too_large")
        return self


class ProgramWriteRequest(WriteRequest[ProgramRowFields]):
    """Rows of a program; a new key that the SAML provider `idp` knows is linked at once."""

    idp: Slug = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _new_rows_have_curricula(self) -> Self:
        if self.create and any(row.curriculum_uuid is None for row in self.enrollments):
            raise fault("no_curriculum")
        return self


class CourseWriteRequest(WriteRequest[CourseRowFields]):
    """Rows of a course of a program."""

    course_key: CourseKey


class EnrollmentStatuses(RootModel[dict[ExternalUserKey, str]]):
    """For each key of the request the status that it has now, or a verdict that says why it has not."""


def http_status(written: Written) -> HTTPStatus:
    """All keys as asked for, some of them, or none."""
    if not written.failed:
        return HTTPStatus.OK
    is_any_done = written.failed < len(written.statuses)
    return HTTPStatus.MULTI_STATUS if is_any_done else HTTPStatus.UNPROCESSABLE_ENTITY
