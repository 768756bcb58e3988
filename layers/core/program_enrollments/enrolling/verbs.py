"""Write program enrollments and program-course enrollments: one bulk read, a verdict a row, writes under savepoints."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
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
    checked_slug,
)
from program_enrollments.errors import Contention, NoIdentities, NonExistentCourse, Refused
from program_enrollments.limits import (
    LONGEST_COURSE_KEY,
    LONGEST_KEY,
    caseless,
    checked_options,
    checked_text,
    checked_uuid,
    fault,
)
from program_enrollments.masters_track import KeptEnrollment
from program_enrollments.postgres.encodings import unstorable
from program_enrollments.postgres.savepoints import write_each
from program_enrollments.postgres.session import Connection, Session

LONGEST_SECONDS = 900.0
ORG = re.compile(r"course-v1:([^+]+)\+[^+]+\+|([^/:]+)/[^/]+/")

# The texts that the database cannot hold, with what its server says of them.
type Unheld = Mapping[str, Refused]


class Request(NamedTuple):
    """What a batch is about; the course key is empty if it is about a program."""

    program_uuid: str
    course_key: str
    student_keys: list[str]


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
    rows = checked(rows, ProgramRow, create=create, update=update)
    checked_options(dry_run=dry_run)
    keys = [row.student_key for row in rows]
    request = Request(checked_uuid("program_uuid", program_uuid), "", keys)
    idp = None if idp is None else checked_slug(idp)

    def write(session: Session, unheld: Unheld) -> Written:
        found = session.script(queries.FIND_AND_LOCK + queries.READ_PROGRAM)
        identities = _identities(session, idp, keys) if idp and create else {}
        reading = Reading(_enrollments(found), identities=identities)
        plan = decisions.plan_program(rows, reading, create=create, update=update)
        return _write(session, plan, queries.WRITE_PROGRAM, unheld)

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
    rows = checked(rows, CourseRow, create=create, update=update)
    checked_options(dry_run=dry_run)
    if not isinstance(course_key, str):
        raise ValueError(f"course_key {course_key!r} is not a string")  # noqa: TRY004 - as `checked`
    if fault(course_key, LONGEST_COURSE_KEY):
        raise NonExistentCourse(course_key)
    keys = [row.student_key for row in rows]
    request = Request(checked_uuid("program_uuid", program_uuid), course_key, keys)

    def write(session: Session, unheld: Unheld) -> Written:
        found = session.script(queries.FIND_AND_LOCK + queries.READ_COURSE)
        if not found["course_exists"]:
            raise NonExistentCourse(course_key)
        courses = {course.program_enrollment_id: course for course in map(Course._make, found["courses"] or ())}
        elsewhere = {key: ActiveElsewhere(*course) for key, *course in found["elsewhere"] or ()}
        reading = Reading(_enrollments(found), courses, elsewhere)
        plan = decisions.plan_course(rows, reading, create=create, update=update)
        return _write(session, plan, queries.WRITE_COURSE, unheld)

    return _in_transaction(connection, request, write, dry_run=dry_run, seconds=seconds) if rows else Written()


def get_users_by_external_keys(
    connection: Connection, external_user_keys: Sequence[str], idp: str, *, seconds: float = LONGEST_SECONDS
) -> dict[str, int | None]:
    """The id of the account by which the SAML provider with the slug `idp` knows each key; None if there is none.

    Keys match whatever their case, as in Open edX's function of this name; two identities that differ only in case
    count as none. Raise `ValueError` for what is no sequence of keys or no slug, `NoIdentities` if the LMS has no
    single sign-on, and what `link_program_enrollments` raises about the database.
    """
    if isinstance(external_user_keys, str) or not isinstance(external_user_keys, Sequence):
        raise ValueError("the external user keys are not a sequence of strings")  # noqa: TRY004 - as `checked`
    keys = [checked_text("the external user key", key, LONGEST_KEY) for key in external_user_keys]
    slug = checked_slug(idp)
    session = Session(connection, time.monotonic() + seconds)
    identities = session.transact(lambda: _identities(session, slug, keys), commit=False)
    return {key: identities.get(caseless(key)) for key in keys}


def _org(course_key: str) -> str:
    """The organization that a course key names; empty if it names none, as no role can be given there."""
    found = ORG.match(course_key)
    return found[1] or found[2] if found else ""


def _in_transaction(
    connection: Connection,
    request: Request,
    write: Callable[[Session, Unheld], Written],
    *,
    dry_run: bool,
    seconds: float,
) -> Written:
    session = Session(connection, time.monotonic() + seconds)

    def work() -> Written:
        unheld = unstorable(session, [request.course_key, *request.student_keys])
        if request.course_key in unheld:
            raise NonExistentCourse(request.course_key)
        _set_request(session, request, unheld)
        return write(session, unheld)

    return session.transact(work, commit=not dry_run)


def _set_request(session: Session, request: Request, unheld: Unheld) -> None:
    session.query(
        queries.SET_REQUEST,
        program_uuid=request.program_uuid,
        course_key=request.course_key,
        org=_org(request.course_key),
        student_keys=_json(key for key in request.student_keys if key not in unheld),
    )


def _json(texts: Iterable[str]) -> str:
    """A list as JSON without escapes, which a database that is not UTF-8 does not take."""
    return json.dumps(list(texts), ensure_ascii=False)


def _identities(session: Session, idp: str, keys: Iterable[str]) -> dict[str, int]:
    """The accounts that an identity provider knows, by caseless keys."""
    if not session.script("SELECT to_regclass('social_auth_usersocialauth')::text"):
        raise NoIdentities("The LMS has no table social_auth_usersocialauth: leave out idp.")
    prefix = f"{idp}:"
    uids = [prefix + key for key in keys]
    unheld = unstorable(session, [prefix, *uids])
    if prefix in unheld:
        return {}
    held = _json(uid for uid in uids if uid not in unheld)
    found = session.query(queries.IDENTITIES, prefix=_escaped(prefix) + "%", uids=held) or {}
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


def _write(session: Session, plan: Plan, statements: str, unheld: Unheld) -> Written:
    """Write what the plan says; a key whose writes the server refuses keeps nothing of them."""
    together, alone = ([key for key in group if key not in unheld] for group in plan.groups())
    keys = together + alone
    written = write_each(session, statements, [plan.writes[key] for key in keys], together=len(together))
    refused = {key: unheld[key] for key in plan.writes if key in unheld}
    refused |= {keys[position]: refusal for position, refusal in written.refusals.items()}
    if any(refusal.constraint == queries.KEY_CONSTRAINT for refusal in refused.values()):
        raise Contention("Another session made a program enrollment of the batch.")
    return Written(
        plan.statuses | dict.fromkeys(refused, Verdict.INTERNAL_ERROR),
        list(refused.values()),
        [KeptEnrollment(*kept) for kept in written.reported],
        plan.active_elsewhere,
    )
