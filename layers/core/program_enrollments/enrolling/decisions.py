"""What each row needs, decided from one reading of the database; nothing here touches it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from program_enrollments.enrolling.rows import ActiveElsewhere, CourseRow, ProgramRow, Verdict
from program_enrollments.limits import caseless

PROGRAM_STATUSES = frozenset({"enrolled", "pending", "suspended", "canceled", "ended"})
COURSE_STATUSES = frozenset({"active", "inactive"})


class Enrollment(NamedTuple):
    """A program enrollment as it was read while locked; `user_id` is None while it waits."""

    id: int
    external_user_key: str
    curriculum_uuid: str
    status: str
    user_id: int | None


class Course(NamedTuple):
    """A program-course enrollment as it was read; `course_enrollment_id` is None while the course waits."""

    id: int
    program_enrollment_id: int
    status: str
    course_enrollment_id: int | None


class ProgramWrite(NamedTuple):
    """A program enrollment to write; a new one has no id."""

    id: int | None
    external_user_key: str
    curriculum_uuid: str
    status: str
    user_id: int | None


class CourseWrite(NamedTuple):
    """A program-course enrollment to write; a new one has no id.

    If it `enters`, its account enters the master's track; else the course enrollment that it has follows its status.
    """

    id: int | None
    program_enrollment_id: int
    user_id: int | None
    status: str
    enters: bool
    course_staff: bool | None


type Write = ProgramWrite | CourseWrite


@dataclass(frozen=True, slots=True)
class Plan:
    """The status or the verdict of each key, in request order, and what has to be written for it."""

    statuses: dict[str, str] = field(default_factory=dict)
    writes: dict[str, Sequence[Write]] = field(default_factory=dict)
    active_elsewhere: list[ActiveElsewhere] = field(default_factory=list)

    def groups(self) -> tuple[list[str], list[str]]:
        """The keys to write: those that cannot hurt each other, and those whose account an earlier key writes too.

        The first may go before all of the second, because they share no account with one that was sent earlier.
        """
        together: list[str] = []
        alone: list[str] = []
        touched: set[int] = set()
        for key, writes in self.writes.items():
            users = [write.user_id for write in writes if write.user_id is not None]
            if writes:
                (together if touched.isdisjoint(users) else alone).append(key)
            touched.update(users)
        return together, alone


@dataclass(frozen=True, slots=True)
class Reading:
    """The program's enrollments of the rows' keys, whatever their case, and their places in the course if there is one.

    `elsewhere` has, for a key exactly as it is spelt, what makes it active in the course through another program;
    `identities` the accounts by which an identity provider knows keys, each key made caseless.
    """

    enrollments: Mapping[str, Sequence[Enrollment]]
    courses: Mapping[int, Course] = field(default_factory=dict)
    elsewhere: Mapping[str, ActiveElsewhere] = field(default_factory=dict)
    identities: Mapping[str, int] = field(default_factory=dict)

    def of(self, row: ProgramRow | CourseRow) -> Sequence[Enrollment]:
        """The enrollments that a row is about: those with its exact key if there are any, else all alike."""
        alike = self.enrollments.get(caseless(row.student_key), ())
        if row.curriculum_uuid is not None:
            alike = [enrollment for enrollment in alike if enrollment.curriculum_uuid == row.curriculum_uuid]
        if len(alike) > 1:
            return [enrollment for enrollment in alike if enrollment.external_user_key == row.student_key] or alike
        return alike


def plan_program(rows: Sequence[ProgramRow], reading: Reading, *, create: bool, update: bool) -> Plan:
    """Judge each row of a program, and say what has to be written; what is as asked for needs nothing."""
    plan, repeated = Plan(), _repeated(rows)
    for row in rows:
        found = reading.of(row)
        if caseless(row.student_key) in repeated:
            verdict: Verdict | None = Verdict.DUPLICATED
        else:
            verdict = _program_verdict(row, found, create=create, update=update)
        plan.statuses[row.student_key] = verdict or row.status
        if verdict is None:
            plan.writes[row.student_key] = (
                [
                    ProgramWrite(it.id, it.external_user_key, it.curriculum_uuid, row.status, it.user_id)
                    for it in found
                    if it.status != row.status
                ]
                if found
                else [_new_enrollment(row, reading)]
            )
    return plan


def plan_course(rows: Sequence[CourseRow], reading: Reading, *, create: bool, update: bool) -> Plan:
    """Judge each row of a course, and say what has to be written; what is as asked for needs nothing."""
    plan, repeated = Plan(), _repeated(rows)
    for row in rows:
        found = reading.of(row)
        in_the_way = _in_the_way(row, found, reading)
        if caseless(row.student_key) in repeated:
            verdict: Verdict | None = Verdict.DUPLICATED
        elif in_the_way:
            verdict = Verdict.CONFLICT
            plan.active_elsewhere.extend(in_the_way)
        else:
            existing = [it for it in found if it.id in reading.courses]
            verdict = _course_verdict(row, found, existing, create=create, update=update)
        plan.statuses[row.student_key] = verdict or row.status
        if verdict is None:
            plan.writes[row.student_key] = list(_course_writes(row, found, reading, create=create))
    return plan


def _program_verdict(row: ProgramRow, found: Sequence[Enrollment], *, create: bool, update: bool) -> Verdict | None:
    if row.status not in PROGRAM_STATUSES:
        return Verdict.INVALID_STATUS
    if found and (not update or _is_ambiguous(found)):
        return Verdict.CONFLICT
    if not found and not create:
        return Verdict.NOT_IN_PROGRAM
    return None


def _course_verdict(
    row: CourseRow, found: Sequence[Enrollment], existing: Sequence[Enrollment], *, create: bool, update: bool
) -> Verdict | None:
    if row.status not in COURSE_STATUSES:
        return Verdict.INVALID_STATUS
    if not found:
        return Verdict.NOT_IN_PROGRAM
    if (existing and not update) or _is_ambiguous(found):
        return Verdict.CONFLICT
    if not existing and not create:
        return Verdict.NOT_FOUND
    return None


def _repeated(rows: Iterable[ProgramRow | CourseRow]) -> set[str]:
    """The keys that are there twice, whatever their case, each made caseless."""
    return {key for key, count in Counter(caseless(row.student_key) for row in rows).items() if count > 1}


def _is_ambiguous(found: Sequence[Enrollment]) -> bool:
    """Whether the enrollments are of several keys that differ only in case, so that nobody knows whose are meant."""
    return len(found) > 1 and len({enrollment.external_user_key for enrollment in found}) > 1


def _in_the_way(row: CourseRow, found: Sequence[Enrollment], reading: Reading) -> list[ActiveElsewhere]:
    if row.status != "active" or not reading.elsewhere:
        return []
    spellings = {row.student_key, *(enrollment.external_user_key for enrollment in found)}
    return [reading.elsewhere[spelling] for spelling in sorted(spellings) if spelling in reading.elsewhere]


def _new_enrollment(row: ProgramRow, reading: Reading) -> ProgramWrite:
    """A new enrollment; a key that the program has in another curriculum keeps the spelling that it has there."""
    key = caseless(row.student_key)
    spellings = {enrollment.external_user_key for enrollment in reading.enrollments.get(key, ())}
    spelling = spellings.pop() if len(spellings) == 1 else row.student_key
    return ProgramWrite(None, spelling, str(row.curriculum_uuid), row.status, reading.identities.get(key))


def _course_writes(
    row: CourseRow, found: Sequence[Enrollment], reading: Reading, *, create: bool
) -> Iterator[CourseWrite]:
    for enrollment in found:
        course = reading.courses.get(enrollment.id)
        if course is None:
            is_wanted, enters = create, enrollment.user_id is not None
        else:
            enters = enrollment.user_id is not None and course.course_enrollment_id is None
            is_wanted = enters or course.status != row.status or row.course_staff is not None
        if is_wanted:
            id_ = course.id if course else None
            yield CourseWrite(id_, enrollment.id, enrollment.user_id, row.status, enters, row.course_staff)
