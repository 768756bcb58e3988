"""Section 3: what is there counts as it is at the moment of the write, whatever another session does meanwhile.

Another session changes one row that the batch reads, in every way and at every moment that matters. What comes out is
what one of the two orders would have left: first the other session and then the batch, or the other way round.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import product

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from local.lms import CURRICULUM, PROGRAM, Lms
from program_enrollments.linking import decisions
from program_enrollments.linking.batch import link_batch
from program_enrollments.linking.decisions import Batch, Plan, Reading
from program_enrollments.postgres.session import Connection, Session, close
from tests.faults.support import wait_until, waiting_sessions
from tests.linking.test_meaning import TABLES, contents

COURSE, OTHER_COURSE, GONE = "course-v1:A+1+R", "course-v1:B+2+R", "course-v1:C+3+R"
SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
MODES = ["audit", "masters", "verified"]
type Result = tuple[list[tuple[str, str]], list[Counter[tuple[object, ...]]], list[list[object]]]


def user(name: str) -> str:
    """The id of an account, in SQL."""
    return f"(SELECT id FROM auth_user WHERE username = '{name}')"


def enrollment(key: str) -> str:
    """The id of a program enrollment, in SQL."""
    return f"(SELECT id FROM program_enrollments_programenrollment WHERE external_user_key = '{key}')"


def enroll(name: str, course: str, mode: str, is_active: str) -> str:
    """Let somebody be enrolled, whatever was there."""
    return (
        "INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)"
        f" VALUES ('2026-01-01', {is_active}, '{mode}', '{course}', {user(name)})"
        " ON CONFLICT (user_id, course_id) DO UPDATE SET mode = excluded.mode, is_active = excluded.is_active"
    )


ENROLLMENT = "program_enrollments_programenrollment"
PCE = "program_enrollments_programcourseenrollment"
NEW_ENROLLMENT = (
    f"INSERT INTO {ENROLLMENT} (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)"
    f" VALUES ('2026-01-01', '2026-01-01', '{{}}', '{PROGRAM}', '{{}}', 'enrolled', {{}})"
)
NEW_PCE = (
    f"INSERT INTO {PCE} (created, modified, course_key, status, program_enrollment_id)"
    f" VALUES ('2026-01-01', '2026-01-01', '{{}}', '{{}}', {enrollment('k')})"
)
NEW_ASSIGNMENT = (
    "INSERT INTO program_enrollments_courseaccessroleassignment (created, modified, role, enrollment_id)"
    f" SELECT '2026-01-01', '2026-01-01', 'beta', id FROM {PCE} WHERE program_enrollment_id = {enrollment('k')}"
)
NEW_ROLE = (
    "INSERT INTO student_courseaccessrole (org, course_id, role, user_id)"
    f" VALUES ('A', '{COURSE}', 'staff', {user('alice')}) ON CONFLICT DO NOTHING"
)
CHANGES = {
    "course enrollments of the new account": [
        enroll("alice", COURSE, mode, is_active) for mode, is_active in product(MODES, ("true", "false"))
    ],
    "course enrollments that were there": [
        f"DELETE FROM student_courseenrollment WHERE user_id = {user('alice')}",
        *(enroll("alice", OTHER_COURSE, mode, is_active) for mode, is_active in product(MODES, ("true", "false"))),
    ],
    "course enrollments of the former account": [
        enroll("bob", COURSE, mode, is_active) for mode, is_active in product(MODES, ("true", "false"))
    ],
    "the program enrollment": [
        *(
            f"UPDATE {ENROLLMENT} SET user_id = {user(name)} WHERE id = {enrollment('k')}"
            for name in ("alice", "carol")
        ),
        f"UPDATE {ENROLLMENT} SET user_id = NULL WHERE id = {enrollment('k')}",
        f"UPDATE {ENROLLMENT} SET status = 'ended' WHERE id = {enrollment('k')}",
        f"UPDATE {ENROLLMENT} SET external_user_key = 'renamed' WHERE id = {enrollment('k')}",
        f"UPDATE {ENROLLMENT} SET program_uuid = '{SECOND_CURRICULUM}' WHERE id = {enrollment('k')}",
        NEW_ENROLLMENT.format("k", SECOND_CURRICULUM, "NULL"),
        NEW_ENROLLMENT.format("other", CURRICULUM, user("alice")),
        NEW_ENROLLMENT.format("other", SECOND_CURRICULUM, user("alice")),
        f"DELETE FROM {ENROLLMENT} WHERE external_user_key = 'held'",
        f"UPDATE {ENROLLMENT} SET user_id = {user('alice')} WHERE external_user_key = 'held'",
    ],
    "its courses": [
        *(f"UPDATE {PCE} SET status = '{status}'" for status in ("active", "inactive")),
        f"UPDATE {PCE} SET course_key = '{GONE}' WHERE course_key = '{COURSE}'",
        f"DELETE FROM {PCE} WHERE course_key = '{OTHER_COURSE}'",
        NEW_PCE.format("course-v1:D+4+R", "active"),
        NEW_PCE.format(GONE, "inactive"),
    ],
    "accounts": [
        "UPDATE auth_user SET username = 'alicia' WHERE username = 'alice'",
        "UPDATE auth_user SET is_active = NOT is_active WHERE username = 'alice'",
    ],
    "courses and their modes": [
        f"DELETE FROM course_overviews_courseoverview WHERE id = '{COURSE}'",
        f"UPDATE course_overviews_courseoverview SET id = '{GONE}' WHERE id = '{COURSE}'",
        "UPDATE course_modes_coursemode SET mode_slug = 'audit'",
        "UPDATE course_modes_coursemode SET expiration_datetime = '2020-01-01'",
        "DELETE FROM course_modes_coursemode",
    ],
    "roles": [
        "DELETE FROM program_enrollments_courseaccessroleassignment",
        "UPDATE program_enrollments_courseaccessroleassignment SET role = 'instructor'",
        NEW_ASSIGNMENT,
        NEW_ROLE,
    ],
}

QUICK = {"accounts"}


def build(lms: Lms, *, is_held: bool) -> None:
    """An LMS where alice is to get the key `k`, which waits or is bob's; carol holds another."""
    lms.run(
        f"TRUNCATE {', '.join(TABLES)}, auth_user, course_modes_coursemode, course_overviews_courseoverview CASCADE"
    )
    alice, bob, carol = (lms.user(name) for name in ("alice", "bob", "carol"))
    for course in (COURSE, OTHER_COURSE):
        lms.course(course, {"masters": None})
    lms.course_enrollment(alice, OTHER_COURSE, "audit")
    id_ = lms.enrollment("k", {COURSE: "active", OTHER_COURSE: "inactive"}, user_id=bob if is_held else None)
    lms.role_assignment(id_, COURSE)
    if is_held:
        course_enrollment = lms.course_enrollment(bob, COURSE, "masters")
        lms.run(f"UPDATE {PCE} SET course_enrollment_id = {course_enrollment} WHERE course_key = '{COURSE}'")
    lms.enrollment("held", user_id=carol)


def link(connection: Connection, between: Callable[[], object] = lambda: None) -> dict[str, str]:
    """Link alice, whoever holds the key, and do something between read and write; return the map of errors."""

    def decide(batch: Batch, reading: Reading) -> Plan:
        between()
        return decisions.plan(batch, reading)

    session = Session(connection, time.monotonic() + 30)
    with session.transaction():
        return link_batch(session, Batch(PROGRAM, None, {"k": "alice"}, relink=True), decide=decide).errors


def begin(other: Connection, change: str) -> None:
    """Begin the change; one that the server refuses is none."""
    other.run("BEGIN")
    with suppress(DatabaseError):
        other.run(change)


def end(other: Connection) -> None:
    """Commit the change; one that was refused, or is now, is none."""
    with suppress(DatabaseError, InterfaceError):
        other.run("COMMIT")
    other.run("ROLLBACK")


def make(other: Connection, change: str) -> None:
    """Make the change."""
    begin(other, change)
    end(other)


def first(_: Lms, batch: Connection, other: Connection, change: str) -> dict[str, str]:
    """First the other session, then the batch."""
    make(other, change)
    return link(batch)


def last(_: Lms, batch: Connection, other: Connection, change: str) -> dict[str, str]:
    """First the batch, then the other session."""
    errors = link(batch)
    make(other, change)
    return errors


def committed_between(lms: Lms, batch: Connection, other: Connection, change: str) -> dict[str, str]:
    """The other session comes after the reading; if a lock of the batch is in its way, it waits for the batch."""
    with ThreadPoolExecutor() as pool:
        changes: list[Future[None]] = []

        def between() -> None:
            changes.append(pool.submit(make, other, change))
            wait_until(lambda: changes[0].done() or waiting_sessions(lms))

        return link(batch, between)


def uncommitted_before(lms: Lms, batch: Connection, other: Connection, change: str) -> dict[str, str]:
    """The batch begins while the other session has made its change and not committed it, and may have to wait."""
    begin(other, change)
    with ThreadPoolExecutor() as pool:
        linking = pool.submit(link, batch)
        wait_until(lambda: linking.done() or waiting_sessions(lms))
        end(other)
        return linking.result()


def uncommitted_between(lms: Lms, batch: Connection, other: Connection, change: str) -> dict[str, str]:
    """The other session comes after the reading, and commits when the batch waits for it or is through."""
    with ThreadPoolExecutor() as pool:
        changes: list[Future[None]] = []

        def between() -> None:
            changes.append(pool.submit(begin, other, change))
            wait_until(lambda: changes[0].done() or waiting_sessions(lms))

        linking = pool.submit(link, batch, between)
        wait_until(lambda: linking.done() or (changes and changes[0].done() and waiting_sessions(lms)))
        changes[0].result()
        end(other)
        return linking.result()


WAYS = (committed_between, uncommitted_before, uncommitted_between)


@pytest.mark.storm
@pytest.mark.parametrize(
    "is_held", [pytest.param(False, id="waiting"), pytest.param(True, id="relinked", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=() if what in QUICK else pytest.mark.slow) for what in CHANGES]
)
def test_any_change_at_any_moment(
    lms: Lms, open_session: Callable[[], Connection], what: str, *, is_held: bool
) -> None:
    """Whenever another session changes a row, the outcome is that of one after the other."""
    batch, other = open_session(), open_session()
    for change in CHANGES[what]:
        results: list[Result] = []
        for way in (first, last, *WAYS):
            build(lms, is_held=is_held)
            errors = way(lms, batch, other, change)
            results.append((sorted(errors.items()), *left(lms)))
        serial, concurrent = results[:2], results[2:]
        assert [result in serial for result in concurrent] == [True, True, True], (change, results)
    close(batch)
    close(other)


@pytest.mark.parametrize("moment", WAYS)
@pytest.mark.parametrize("is_held", [False, True], ids=["waiting", "relinked"])
def test_an_account_deleted_at_any_moment(
    lms: Lms, open_session: Callable[[], Connection], moment: Callable[..., dict[str, str]], *, is_held: bool
) -> None:
    """Whenever another session deletes the account, its key fails, and the tables are as if nothing had been sent."""
    batch, other = open_session(), open_session()
    build(lms, is_held=is_held)
    lms.run("DELETE FROM student_courseenrollment WHERE mode = 'audit'")
    before = contents(lms)
    assert list(moment(lms, batch, other, "DELETE FROM auth_user WHERE username = 'alice'")) == ["k"]
    assert contents(lms) == before
    close(batch)
    close(other)


def left(lms: Lms) -> tuple[list[Counter[tuple[object, ...]]], list[list[object]]]:
    """What is in the tables."""
    roles = "SELECT org, course_id, role, username FROM student_courseaccessrole JOIN auth_user AS a ON a.id = user_id"
    return contents(lms), sorted(lms.run(roles), key=str)
