"""The rows of history that go with what linking and enrolling write, as Open edX keeps them.

Each has a row as it is after the write, stamped one by one: after the wait that each row may have cost.
"""

PROGRAM_ENROLLMENTS = """
    INSERT INTO program_enrollments_historicalprogramenrollment (
        id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id,
        history_date, history_type
    )
    SELECT
        id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id,
        clock_timestamp(), history_type
    FROM <written>
    ORDER BY id
"""
PROGRAM_COURSE_ENROLLMENTS = """
    INSERT INTO program_enrollments_historicalprogramcourseenrollment (
        id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id,
        history_date, history_type
    )
    SELECT
        id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id,
        clock_timestamp(), history_type
    FROM <written>
    ORDER BY id
"""
COURSE_ENROLLMENTS = """
    INSERT INTO student_courseenrollment_history
        (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
    SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), history_type
    FROM <written>
"""
CREATED_OR_CHANGED = (
    "(SELECT *, '+' AS history_type FROM created UNION ALL SELECT *, '~' AS history_type FROM changed) AS written"
)


def record(history: str, written: str) -> str:
    """The end of a statement, for one of the histories: `written` are rows with a `history_type`, + if new, else ~."""
    return history.replace("<written>", written)
