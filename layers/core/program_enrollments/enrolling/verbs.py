"""Write program enrollments and program-course enrollments: one bulk read, a verdict a row, writes under savepoints."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from program_enrollments.enrolling import decisions, queries
from program_enrollments.enrolling.decisions import Course, Enrollment, Plan, Reading
from program_enrollments.enrolling.rows import (
    ActiveElsewhere,
    CourseRow,
    ProgramRow,
    Verdict,
    Written,
    checked,
)
from program_enrollments.errors import Contention, NoIdentities, NonExistentCourse
from program_enrollments.limits import LONGEST_COURSE_KEY, caseless, checked_uuid, fault
from program_enrollments.masters_track import KeptEnrollment
from program_enrollments.postgres.savepoints import write_each
from program_enrollments.postgres.session import Connection, Session

LONGEST_SECONDS = 900.0
ORG = re.compile(r"course-v1:([^+]+)\+[^+]+\+|([^/:]+)/[^/]+/")


def write_program_enrollments(  # noqa: PLR0913 - the options of the request, by name
    connection: Connection,
    program_uuid: UUID | str,
    rows: Sequence[ProgramRow],
    *,
    create: bool,
    update: bool,
    idp: str | None = None,
    dry_run: bool = False,
    seconds: float = LONGEST_SECONDS,
) -> Written:
    """Give each external user key its status in the program, as Open edX's function of this name does.

    `create` makes enrollments that are not there, `update` changes those that are; give both for either. A new
    enrollment whose key is known at the SAML provider with the slug `idp` is linked at once.

    A row that cannot be written is rolled back by itself and has a verdict; the others are written. Existing keys are
    found whatever their case. The connection must not be in a transaction; the batch is one. Raise `ValueError` for
    rows that cannot be taken, `NoIdentities` if `idp` is given and the LMS has no single sign-on, and what
    `link_program_enrollments` raises about the database.
    """
    rows = checked(rows, create=create, update=update)
    request = _request(program_uuid, rows)

    def write(session: Session) -> Written:
        found = session.script(queries.FIND_AND_LOCK + queries.READ_PROGRAM)
        identities = _identities(session, idp, [row.student_key for row in rows]) if idp and create else {}
        reading = Reading(_enrollments(found), identities=identities)
        plan = decisions.plan_program(rows, reading, create=create, update=update)
        return _write(session, plan, queries.WRITE_PROGRAM)

    return _in_transaction(connection, request, write, dry_run=dry_run, seconds=seconds) if rows else Written()


def write_program_course_enrollments(  # noqa: PLR0913 - the options of the request, by name
    connection: Connection,
    program_uuid: UUID | str,
    course_key: str,
    rows: Sequence[CourseRow],
    *,
    create: bool,
    update: bool,
    dry_run: bool = False,
    seconds: float = LONGEST_SECONDS,
) -> Written:
    """Give each external user key its status in a course of the program, as Open edX's function of this name does.

    A linked account's course enrollment follows: a new one as linking makes it, one that is there by its status only.
    Whether the course belongs to the program is not known to the database, and not checked. Options and errors are
    those of `write_program_enrollments`; raise `NonExistentCourse` if the LMS does not know the course.
    """
    rows = checked(rows, create=create, update=update)
    if fault(course_key, LONGEST_COURSE_KEY):
        raise NonExistentCourse(course_key)
    request = _request(program_uuid, rows, course_key)

    def write(session: Session) -> Written:
        found = session.script(queries.FIND_AND_LOCK + queries.READ_COURSE)
        if not found["course_exists"]:
            raise NonExistentCourse(course_key)
        courses = {course.program_enrollment_id: course for course in map(Course._make, found["courses"] or ())}
        elsewhere = {key: ActiveElsewhere(*course) for key, *course in found["elsewhere"] or ()}
        reading = Reading(_enrollments(found), courses, elsewhere)
        plan = decisions.plan_course(rows, reading, create=create, update=update)
        return _write(session, plan, queries.WRITE_COURSE)

    return _in_transaction(connection, request, write, dry_run=dry_run, seconds=seconds) if rows else Written()


def get_users_by_external_keys(
    connection: Connection, external_user_keys: Sequence[str], idp: str, *, seconds: float = LONGEST_SECONDS
) -> dict[str, int | None]:
    """The id of the account by which the SAML provider with the slug `idp` knows each key; None if there is none.

    Keys match whatever their case, as in Open edX's function of this name; two identities that differ only in case
    count as none. Raise `NoIdentities` if the LMS has no single sign-on.
    """
    session = Session(connection, time.monotonic() + seconds)
    with session.transaction(commit=False):
        identities = _identities(session, idp, external_user_keys)
    return {key: identities.get(caseless(key)) for key in external_user_keys}


def _request(
    program_uuid: UUID | str, rows: Sequence[ProgramRow] | Sequence[CourseRow], course_key: str = ""
) -> dict[str, str]:
    return {
        "program_uuid": checked_uuid("program_uuid", program_uuid),
        "course_key": course_key,
        "org": _org(course_key),
        "student_keys": json.dumps([row.student_key for row in rows]),
    }


def _org(course_key: str) -> str:
    """The organization that a course key names; empty if it names none, as no role can be given there."""
    found = ORG.match(course_key)
    return found[1] or found[2] if found else ""


def _in_transaction(
    connection: Connection,
    request: dict[str, str],
    write: Callable[[Session], Written],
    *,
    dry_run: bool,
    seconds: float,
) -> Written:
    session = Session(connection, time.monotonic() + seconds)

    def work() -> Written:
        session.query(queries.SET_REQUEST, **request)
        return write(session)

    return session.transact(work, commit=not dry_run)


def _identities(session: Session, idp: str, keys: Iterable[str]) -> dict[str, int]:
    """The accounts that an identity provider knows, by caseless keys."""
    if not session.script("SELECT to_regclass('social_auth_usersocialauth')::text"):
        raise NoIdentities("The LMS has no table social_auth_usersocialauth: leave out idp.")
    prefix = f"{idp}:"
    uids = json.dumps([prefix + key for key in keys])
    found = session.query(queries.IDENTITIES, prefix=_escaped(prefix) + "%", uids=uids) or {}
    return {caseless(uid[len(prefix) :]): user_id for uid, user_id in found.items()}


def _escaped(text: str) -> str:
    """A text that LIKE takes literally."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _enrollments(found: Mapping[str, Any]) -> dict[str, list[Enrollment]]:
    by_key: dict[str, list[Enrollment]] = {}
    for row in found["enrollments"] or ():
        enrollment = Enrollment(*row)
        by_key.setdefault(caseless(enrollment.external_user_key), []).append(enrollment)
    return by_key


def _write(session: Session, plan: Plan, statements: str) -> Written:
    """Write what the plan says; a key whose writes the server refuses keeps nothing of them."""
    together, alone = plan.groups()
    keys = together + alone
    items = [[write._asdict() for write in plan.writes[key]] for key in keys]
    written = write_each(session, statements, items, together=len(together))
    refused = {keys[position]: refusal for position, refusal in written.refusals.items()}
    if any(refusal.constraint == queries.KEY_CONSTRAINT for refusal in refused.values()):
        raise Contention("Another session made a program enrollment of the batch.")
    return Written(
        plan.statuses | dict.fromkeys(refused, Verdict.INTERNAL_ERROR),
        list(refused.values()),
        [KeptEnrollment(*kept) for kept in written.told],
        plan.active_elsewhere,
    )
