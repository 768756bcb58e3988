"""What an LMS does while others link and enroll: people enter courses, and now and then an account is deleted."""

import random
from collections import Counter
from threading import Event

from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

DOOMED_USERS = 40

# As Django would: each change with its row of history.
ENROLL = """
WITH changed AS (
    INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
    SELECT now(), true, :mode, :course_key, id FROM auth_user WHERE username = :username
    ON CONFLICT (user_id, course_id) DO UPDATE SET mode = excluded.mode, is_active = excluded.is_active
    RETURNING *, CASE WHEN xmax = 0 THEN '+' ELSE '~' END AS history_type
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), history_type
FROM changed
"""
DELETE_COURSES = """
WITH gone AS (
    DELETE FROM program_enrollments_programcourseenrollment AS course
    USING auth_user AS account, program_enrollments_programenrollment AS enrollment
    WHERE account.username = :username AND enrollment.user_id = account.id
    AND course.program_enrollment_id = enrollment.id
    RETURNING course.*
)
INSERT INTO program_enrollments_historicalprogramcourseenrollment (
    id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, history_date, history_type
)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), '-'
FROM gone
"""
DELETE_ENROLLMENTS = """
WITH gone AS (
    DELETE FROM program_enrollments_programenrollment AS enrollment
    USING auth_user AS account
    WHERE account.username = :username AND enrollment.user_id = account.id
    RETURNING enrollment.*
)
INSERT INTO program_enrollments_historicalprogramenrollment (
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, history_date, history_type
)
SELECT
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '-'
FROM gone
"""
DELETE_COURSE_ENROLLMENTS = """
WITH gone AS (
    DELETE FROM student_courseenrollment AS course_enrollment
    USING auth_user AS account
    WHERE account.username = :username AND course_enrollment.user_id = account.id
    RETURNING course_enrollment.*
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), '-'
FROM gone
"""
DELETE_USER = "DELETE FROM auth_user WHERE username = :username"
DELETE = [DELETE_COURSES, DELETE_ENROLLMENTS, DELETE_COURSE_ENROLLMENTS, DELETE_USER]


def work(
    session: Connection, randomness: random.Random, users: list[str], courses: list[str], is_over: Event
) -> Counter[str]:
    """Enroll users in courses, several in a transaction, and now and then delete one, until it is over."""
    done: Counter[str] = Counter()
    while not is_over.is_set():
        try:
            session.run("BEGIN")
            if randomness.random() < 0.02:
                username = randomness.choice(users[:DOOMED_USERS])
                for statement in DELETE:
                    session.run(statement, username=username)
                what = "deletions"
            else:
                for username in randomness.sample(users, 3):
                    mode = randomness.choice(["audit", "honor", "verified"])
                    session.run(ENROLL, username=username, course_key=randomness.choice(courses), mode=mode)
                what = "enrollments"
            session.run("COMMIT")
        except DatabaseError as error:
            if error.args[0]["C"] not in {"40P01", "23503"}:  # a deadlock, or linked in the meantime
                raise
            session.run("ROLLBACK")
            what = "rollbacks of the LMS"
        done[what] += 1
    return done
