"""Rosters as /rosters takes and shows them: the roster function reads by these models, LinkFunction describes them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lambda_runtime.fields import CourseKey, Option, Slug
from lambda_runtime.refusals import Fields, fault

MOST_FAULTS = 20
LONGEST_KEY_OF_S3 = 1_024

Curriculum = Annotated[
    UUID, Field(description="Only enrollments of this curriculum; in a file of enrollments, that of lines without one.")
]
Threshold = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]


class Options(Fields):
    """What a roster of any kind may ask for."""

    dry_run: Annotated[Option, Field(description="Say what would happen, and change nothing.")] = False
    # They may be left out; null is refused, so that an option that nobody filled in cannot widen a roster.
    curriculum_uuid: Curriculum = None  # type: ignore[assignment]
    hold_above_percent: Annotated[
        Threshold, Field(description="Change nothing if more than so many percent of the keys would fail.")
    ] = None  # type: ignore[assignment]

    @property
    def curriculum(self) -> str | None:
        """The UUID of the curriculum, if there is one."""
        return str(self.curriculum_uuid) if "curriculum_uuid" in self.model_fields_set else None


class LinkOptions(Options):
    """How the keys of a roster are linked, as in a request of POST /links."""

    kind: Annotated[Literal["links"], Field(description="A line is a key and the username of its account.")] = "links"
    relink: Annotated[Option, Field(description="Take keys from the accounts that hold them.")] = False
    ignore_case: Annotated[Option, Field(description="Match keys whatever their case.")] = False


class EnrollmentOptions(Options):
    """How the enrollments of a roster are written; without `create` and `update`, either is done."""

    kind: Annotated[Literal["enrollments"], Field(description="A line is a key and the status that it is to have.")]
    course_key: Annotated[CourseKey, Field(description="Write enrollments in this course of the program.")] = None  # type: ignore[assignment]
    create: Annotated[Option, Field(description="Only make enrollments that are not there.")] = False
    update: Annotated[Option, Field(description="Only change enrollments that are there.")] = False
    idp: Annotated[Slug, Field(description="Link new keys at once that this SAML provider knows.")] = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _identities_are_of_programs(self) -> Self:
        if self.idp and self.course_key:
            raise fault("idp_in_course")
        return self

    @property
    def way(self) -> dict[str, bool]:
        """Whether enrollments are made that are not there, and those changed that are."""
        return {"create": self.create or not self.update, "update": self.update or not self.create}


class NewRoster(Fields):
    """The program of a roster."""

    program_uuid: UUID


class NewLinks(NewRoster, LinkOptions):
    """A roster of keys that are to be linked: its program, and how."""


class NewEnrollments(NewRoster, EnrollmentOptions):
    """A roster of enrollments that are to be written: its program, and how."""


class Listing(Fields):
    """The parameters of a list of rosters."""

    program_uuid: Annotated[UUID, Field(description="The program.")]
    page_size: Annotated[int, Field(ge=1, le=100, description="How many rosters a page has at most.")] = 20
    cursor: Annotated[
        str, Field(pattern=r"^\d{13}\.[0-9a-f-]{36}$", description="The page's place: `next` of the page before.")
    ] = None  # type: ignore[assignment]


class State(StrEnum):
    """Where a roster is on its way."""

    WAITING = "waiting-for-file"
    CHECKING = "checking"
    LINKING = "linking"
    FINISHED = "finished"
    HELD = "held"
    REFUSED = "refused"
    STOPPED = "stopped"
    FAILED = "failed"


class Counts(BaseModel):
    """How many keys came to what; `failed` has the number of each code.

    Those that are as asked for are `linked` or `already_linked`, or, in a roster of enrollments, `written`.
    """

    model_config = ConfigDict(frozen=True)

    done: int = 0
    linked: int = 0
    already_linked: int = 0
    written: int = 0
    failed: dict[str, int] = {}


class Form(BaseModel):
    """Where a form sends the file, and with which fields before it, for a quarter of an hour."""

    url: str
    fields: dict[str, str]


class Roster(Counts):
    """A roster as it is now. The counts are of a dry run's answers while its state is `checking`."""

    roster_id: UUID
    program_uuid: Annotated[str, Field(description="Empty if the file was put where no program is named.")]
    submitted_by: str
    created: datetime
    file: Annotated[str, Field(max_length=LONGEST_KEY_OF_S3)]
    options: LinkOptions | EnrollmentOptions
    state: State
    started: Annotated[datetime | None, Field(description="When the last attempt began.")]
    ended: datetime | None
    keys: Annotated[int | None, Field(description="How many lines the file has; null until it was checked.")]
    faults: Annotated[list[str], Field(max_length=MOST_FAULTS, description="What is wrong with the file.")]
    fault_count: int
    message: Annotated[str | None, Field(description="Why it failed.")]
    stopping: Annotated[bool, Field(description="There while it runs: whether it was asked to stop.")] = False
    results: Annotated[dict[str, str], Field(description="Links to what became of it, good for an hour.")]


class AwaitedRoster(Roster):
    """A roster that waits for its file, and where to send it."""

    upload: Form


class RosterPage(BaseModel):
    """Rosters of a program, the newest one first; `next` is the `cursor` of the next page."""

    next: str | None
    results: list[Roster]
