"""The shapes of what reading answers, as JSON has them: a UUID is a string, a time is ISO 8601 in UTC."""

from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

Status = Literal["enrolled", "pending", "suspended", "canceled", "ended"]


class Program(TypedDict):
    """How many enrollments a program has, and how many of them have an account or wait for one."""

    program_uuid: str
    enrollments: int
    linked: int
    waiting: int


class ListedEnrollment(TypedDict):
    """A program enrollment as Open edX's REST API lists it, without the e-mail; `username` is None if it waits."""

    student_key: str | None
    status: str
    account_exists: bool
    curriculum_uuid: str
    username: str | None
    created: str
    modified: str


class Page(NamedTuple):
    """Enrollments in the order of their ids, and where the pages beside them begin; None if there is none."""

    results: list[ListedEnrollment]
    next_after: int | None
    previous_before: int | None


class Account(TypedDict):
    """An LMS account; one that is not active cannot sign in yet."""

    username: str
    is_active: bool


class Difference(TypedDict):
    """A field that changed; `before` is missing if the history does not reach back that far."""

    before: NotRequired[Any]
    after: Any


class Change(TypedDict):
    """One row of an object's history; `who` is the account that made the change, None if it was a service."""

    when: str
    what: Literal["created", "changed", "deleted"]
    who: str | None
    changes: dict[str, Difference]


class CourseEnrollment(TypedDict):
    """The LMS's own enrollment of an account in a course run."""

    username: str
    mode: str
    is_active: bool
    history: list[Change]


class Course(TypedDict):
    """A program-course enrollment; `course_enrollment` is None while it waits."""

    course_key: str
    status: str
    course_exists: bool
    course_enrollment: CourseEnrollment | None
    pending_roles: list[str]
    created: str
    modified: str
    history: list[Change]


class Enrollment(TypedDict):
    """A program enrollment with its courses; `holder` is None while it waits.

    `other_keys` are those under which the holder has the same program too, and `similar_keys` the program's keys that
    differ from this one only in case.
    """

    program_uuid: str
    curriculum_uuid: str
    external_user_key: str | None
    status: str
    holder: Account | None
    courses: list[Course]
    other_keys: list[str]
    similar_keys: list[str]
    created: str
    modified: str
    history: list[Change]


class Finding(TypedDict):
    """Something that is amiss or still waits: what it is, and what to do about it."""

    code: str
    message: str
    advice: str
    program_uuid: str | None
    external_user_key: str | None
    course_key: str | None


class Learner(TypedDict):
    """All enrollments of a key or an account; `account` is there if it was asked for by its username."""

    account: Account | None
    enrollments: list[Enrollment]
    findings: list[Finding]
