"""Linking, enrolling and reading in an LMS that grew since its statistics were taken, as a new one does."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from pg8000.native import Connection

from local.lms import Lms
from local.roster import COURSES, load_sample_roster
from local.roster import SECOND_PROGRAM as SMALL_PROGRAM
from program_enrollments import (
    link_program_enrollments,
    read_enrollments,
    read_learner,
    write_program_course_enrollments,
    write_program_enrollments,
)
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from tests.speed.conftest import Plan

KEYS = 20_000
PROGRAM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_PROGRAM = "c0ffee00-0000-4000-8000-000000000003"
FILL = f"""
INSERT INTO auth_user
    (username, is_active, password, first_name, last_name, email, is_staff, is_superuser, date_joined)
SELECT 'user-' || number, true, '!', '', '', '', false, false, now() FROM generate_series(1, {KEYS}) AS number;

INSERT INTO program_enrollments_programenrollment
    (external_user_key, program_uuid, curriculum_uuid, status, created, modified)
SELECT 'student-' || number, program, program, 'enrolled', now(), now()
FROM unnest(ARRAY['{PROGRAM}', '{OTHER_PROGRAM}']::uuid[]) AS program
CROSS JOIN generate_series(1, {KEYS}) AS number;

INSERT INTO program_enrollments_programcourseenrollment (program_enrollment_id, course_key, status, created, modified)
SELECT enrollment.id, course.id, 'active', now(), now()
FROM program_enrollments_programenrollment AS enrollment
CROSS JOIN unnest(ARRAY['{COURSES[0]}', '{COURSES[1]}']) AS course (id)
WHERE program_uuid IN ('{PROGRAM}', '{OTHER_PROGRAM}');
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_analyzed", ["never", "when it was empty", "before anybody was linked"])
def test_a_second_large_batch_in_a_new_lms(lms: Lms, is_analyzed: str) -> None:
    """Large batches take seconds, even where the statistics say that programs are small and courses nearly empty."""
    load_sample_roster(lms)
    lms.run("ANALYZE" if is_analyzed == "when it was empty" else "")
    lms.run(FILL)
    lms.run("ANALYZE" if is_analyzed == "before anybody was linked" else "")
    for first in (1, KEYS // 2 + 1):
        numbers = range(first, first + KEYS // 2)
        batch = {f"student-{number}": f"user-{number}" for number in numbers}
        assert link_program_enrollments(lms.connection, PROGRAM, batch, seconds=20).linked == 10_000


@pytest.mark.slow
@pytest.mark.parametrize("is_analyzed", ["never", "when it was empty", "when it was small"])
def test_large_batches_of_enrollments_in_a_new_lms(lms: Lms, other_session: Connection, is_analyzed: str) -> None:
    """10,000 enrollments are created, changed, and entered in a course within seconds each, whatever statistics say.

    The session is another than the one that filled the tables, which keeps the plans of their foreign keys.
    """
    lms.run("ANALYZE" if is_analyzed == "when it was empty" else "")
    load_sample_roster(lms)
    lms.run("ANALYZE" if is_analyzed == "when it was small" else "")
    lms.run(f"""
        SET session_replication_role = replica;  -- without a check of each foreign key
        {FILL};
        SET enable_nestloop = off;
        UPDATE program_enrollments_programenrollment SET user_id = auth_user.id FROM auth_user
        WHERE program_uuid = '{PROGRAM}' AND external_user_key = replace(username, 'user-', 'student-');
        RESET enable_nestloop;
        RESET session_replication_role
    """)
    new = [ProgramRow(f"new-{number}", "enrolled", PROGRAM) for number in range(KEYS // 2)]
    ended = [ProgramRow(f"student-{number}", "ended", PROGRAM) for number in range(1, KEYS // 2 + 1)]
    entering = [CourseRow(f"student-{number}", "active") for number in range(1, KEYS // 2 + 1)]
    course = lms.course("course-v1:edX+Another+2026")
    in_program = partial(write_program_enrollments, other_session, PROGRAM, create=True, update=True, seconds=20)
    in_course = partial(write_program_course_enrollments, other_session, PROGRAM, course, update=True, seconds=20)
    assert set(in_program(new).statuses.values()) == {"enrolled"}
    assert set(in_program(ended).statuses.values()) == {"ended"}
    assert set(in_course(entering, create=True).statuses.values()) == {"active"}


# Every second key of the first program has its account, in a course and with a history; no join needs statistics.
FIRST_ID = 1_000_000
GROW = f"""
SET session_replication_role = replica;

INSERT INTO auth_user
    (id, username, is_active, password, first_name, last_name, email, is_staff, is_superuser, date_joined)
SELECT {FIRST_ID} + n, 'user-' || n, true, '!', '', '', '', false, false, now() FROM generate_series(1, {KEYS}) AS n;

INSERT INTO program_enrollments_programenrollment
    (id, external_user_key, program_uuid, curriculum_uuid, status, user_id, created, modified)
SELECT {FIRST_ID} + 2 * n, 'student-' || n, '{PROGRAM}'::uuid, '{PROGRAM}'::uuid, 'enrolled',
    CASE WHEN n % 2 = 1 THEN {FIRST_ID} + n END, now(), now()
FROM generate_series(1, {KEYS}) AS n
UNION ALL
SELECT {FIRST_ID} + 2 * n + 1, 'student-' || n, '{OTHER_PROGRAM}', '{OTHER_PROGRAM}', 'enrolled', NULL, now(), now()
FROM generate_series(1, {KEYS}) AS n
ORDER BY 1;

INSERT INTO student_courseenrollment (id, created, is_active, mode, course_id, user_id)
SELECT {FIRST_ID} + n, now(), true, 'masters', '{COURSES[0]}', {FIRST_ID} + n FROM generate_series(1, {KEYS}) AS n;

INSERT INTO program_enrollments_programcourseenrollment
    (created, modified, course_key, status, program_enrollment_id, course_enrollment_id)
SELECT now(), now(), '{COURSES[0]}', 'active', {FIRST_ID} + 2 * n, CASE WHEN n % 2 = 1 THEN {FIRST_ID} + n END
FROM generate_series(1, {KEYS}) AS n;

INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), now(), '+' FROM student_courseenrollment;

INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, now(), '+'
FROM program_enrollments_programenrollment;

INSERT INTO program_enrollments_historicalprogramcourseenrollment (id, created, modified, course_key, status,
    course_enrollment_id, program_enrollment_id, history_date, history_type)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, now(), '+'
FROM program_enrollments_programcourseenrollment;

SET session_replication_role = origin
"""

READS: dict[str, Callable[[Lms], object]] = {
    "the first page": lambda lms: read_enrollments(lms.connection, PROGRAM, page_size=100),
    "a page in the middle": lambda lms: read_enrollments(lms.connection, PROGRAM, page_size=100, after=FIRST_ID + KEYS),
    "a page backwards": lambda lms: read_enrollments(
        lms.connection, OTHER_PROGRAM, page_size=100, before=FIRST_ID + KEYS
    ),
    "filtered": lambda lms: read_enrollments(lms.connection, PROGRAM, status="ended", waiting=True),
    "a small program": lambda lms: read_enrollments(lms.connection, SMALL_PROGRAM),
    "a key": lambda lms: read_learner(lms.connection, external_user_key="student-19999"),
    "a key in a program": lambda lms: read_learner(
        lms.connection, external_user_key="student-19999", program_uuid=OTHER_PROGRAM
    ),
    "an account": lambda lms: read_learner(lms.connection, username="user-19999"),
}


@pytest.mark.slow
@pytest.mark.parametrize("is_analyzed", ["never", "when it was empty", "when it was small"])
def test_reading_in_a_new_lms(lms: Lms, plans: list[Plan], is_analyzed: str) -> None:
    """With old statistics or none, no read looks at more than twice the blocks that it looks at with new ones."""
    lms.run("ANALYZE" if is_analyzed == "when it was empty" else "")
    load_sample_roster(lms)
    lms.run("ANALYZE" if is_analyzed == "when it was small" else "")
    lms.run(GROW)
    old = dict(blocks(lms, plans))
    lms.run("ANALYZE")
    new = dict(blocks(lms, plans))
    assert {read: count for read, count in old.items() if count > 2 * new[read]} == {}


def blocks(lms: Lms, plans: list[Plan]) -> Iterator[tuple[str, int]]:
    """How many blocks each read looks at; the second time, when hint bits are set and catalogs are known."""
    for name, read in READS.items():
        read(lms)
        plans.clear()
        read(lms)
        yield name, sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)
