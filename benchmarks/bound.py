"""The least that PostgreSQL could take: the writes of a clean batch as one script, without a look at what may fail."""

from benchmarks.roster import Roster

SCRIPT = """
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
WITH claimed AS (
    UPDATE program_enrollments_programenrollment AS enrollment
    SET user_id = account.id, modified = now()
    FROM unnest('{keys}'::text[], '{usernames}'::text[]) AS sent (key, username)
    JOIN auth_user AS account ON account.username = sent.username
    WHERE enrollment.external_user_key = sent.key AND enrollment.program_uuid = '{program}'
    RETURNING enrollment.*
)
INSERT INTO program_enrollments_historicalprogramenrollment (
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, history_date, history_type
)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, now(), '~'
FROM claimed;
WITH entered AS (
    INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
    SELECT now(), true, 'masters', course_key, user_id
    FROM program_enrollments_programenrollment AS enrollment
    JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = enrollment.id
    WHERE enrollment.program_uuid = '{program}'
    ORDER BY user_id, course_key
    RETURNING *
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), now(), '+'
FROM entered;
WITH pointed AS (
    UPDATE program_enrollments_programcourseenrollment AS course
    SET course_enrollment_id = course_enrollment.id, modified = now()
    FROM program_enrollments_programenrollment AS enrollment, student_courseenrollment AS course_enrollment
    WHERE enrollment.program_uuid = '{program}'
    AND course.program_enrollment_id = enrollment.id
    AND course_enrollment.user_id = enrollment.user_id
    AND course_enrollment.course_id || '' = course.course_key
    RETURNING course.*
)
INSERT INTO program_enrollments_historicalprogramcourseenrollment (
    id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, history_date, history_type
)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, now(), '~'
FROM pointed;
COMMIT
"""


def bound_script(roster: Roster) -> str:
    """The script that links a clean roster."""
    keys, usernames = roster.external_keys_to_usernames, roster.external_keys_to_usernames.values()
    return SCRIPT.format(
        keys=f"{{{','.join(keys)}}}", usernames=f"{{{','.join(usernames)}}}", program=roster.program_uuid
    )
