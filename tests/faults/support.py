"""What the tests of faults share: how long they go on, who is at work, a large batch and what there is of it."""

import os
import time
from collections.abc import Callable
from typing import Any

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import CURRICULUM, PROGRAM, Lms
from tests.support import load_event

IS_SOAK = "SOAK" in os.environ
COURSES = ["course-v1:edX+A+2026", "course-v1:edX+B+2026"]


def rounds(short: int, soak: int) -> int:
    """How often something is done: a few times among all tests, many times in the soak."""
    return soak if IS_SOAK else short


def link(external_keys_to_usernames: dict[str, str], milliseconds: int = 28_000, **options: object) -> dict[str, Any]:
    """Invoke the Lambda directly, with so much time left."""
    event = load_event("direct-link") | {"external_keys_to_usernames": external_keys_to_usernames} | options
    return lambda_handler(event, invocation(milliseconds))


def wait_until(is_so: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait for something to become true; return how many seconds that took."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < seconds, "it did not come true in time"
        time.sleep(0.01)
    return time.monotonic() - started


def open_transactions(lms: Lms) -> list[list[Any]]:
    """The clients' transactions in the test's database, but for the LMS's own."""
    return lms.run(
        "SELECT pid, state, wait_event_type, query FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL"
        " AND pid <> pg_backend_pid()"
    )


def waiting_sessions(lms: Lms) -> list[int]:
    """The sessions of the test's database that wait for a lock."""
    return [
        pid
        for (pid,) in lms.run(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    ]


def load_large_batch(lms: Lms, keys: int) -> dict[str, str]:
    """Add so many accounts and program enrollments that wait for two courses each; return the batch that links them."""
    for course_key in COURSES:
        lms.course(course_key)
    lms.run(f"""
        INSERT INTO auth_user (
            username, is_active, password, first_name, last_name, email, is_staff, is_superuser, date_joined
        )
        SELECT 'user-' || n, true, '!', '', '', '', false, false, now() FROM generate_series(1, {keys}) AS n;
        INSERT INTO program_enrollments_programenrollment
            (external_user_key, program_uuid, curriculum_uuid, status, created, modified)
        SELECT 'key-' || n, '{PROGRAM}', '{CURRICULUM}', 'enrolled', now(), now() FROM generate_series(1, {keys}) AS n;
        INSERT INTO program_enrollments_programcourseenrollment
            (course_key, status, program_enrollment_id, created, modified)
        SELECT course_key, 'active', id, now(), now()
        FROM program_enrollments_programenrollment, unnest(ARRAY{COURSES}) AS course_key;
    """)
    return {f"key-{number}": f"user-{number}" for number in range(1, keys + 1)}


def holdings(lms: Lms) -> list[int]:
    """How much the database holds of the large batch: for each table that linking writes, the rows that it left."""
    return lms.run("""
        SELECT
            (SELECT count(user_id) FROM program_enrollments_programenrollment),
            (SELECT count(course_enrollment_id) FROM program_enrollments_programcourseenrollment),
            (SELECT count(*) FROM student_courseenrollment WHERE is_active AND mode = 'masters'),
            (SELECT count(*) FROM program_enrollments_historicalprogramenrollment),
            (SELECT count(*) FROM program_enrollments_historicalprogramcourseenrollment),
            (SELECT count(*) FROM student_courseenrollment_history)
    """)[0]


def take_back(lms: Lms) -> None:
    """Make the database what it was before the large batch was linked."""
    lms.run("""
        UPDATE program_enrollments_programenrollment SET user_id = NULL WHERE user_id IS NOT NULL;
        UPDATE program_enrollments_programcourseenrollment SET course_enrollment_id = NULL
        WHERE course_enrollment_id IS NOT NULL;
        DELETE FROM student_courseenrollment;
        TRUNCATE program_enrollments_historicalprogramenrollment,
            program_enrollments_historicalprogramcourseenrollment, student_courseenrollment_history;
    """)
