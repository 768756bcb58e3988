"""The SQL of linking, one constant a step.

A batch of any size is handed over as JSON, never in a statement's text, and every string is taken literally. What is
found is kept in settings that live as long as the transaction.

Each join goes from such a list to rows by the one index that is right in every LMS: a key, a user, a course or an id.
What many rows have in common, a program or the courses of a program, is looked at only then (`OFFSET 0`) or compared as
an expression (`|| ''`), so that statistics from before the LMS grew, or none, cannot lead the planner to another index.
"""

# Every external key of a program (or of its one curriculum), however it is spelt.
SPELLINGS = """
SELECT json_agg(DISTINCT external_user_key)
FROM program_enrollments_programenrollment
WHERE program_uuid = CAST(:program_uuid AS uuid) AND external_user_key IS NOT NULL
AND (CAST(:curriculum_uuid AS uuid) IS NULL OR curriculum_uuid = CAST(:curriculum_uuid AS uuid))
"""

# The request becomes the ids of what it names: `linking.found_enrollments` and `linking.found_users`.
FIND = """
SELECT
    set_config('linking.program_uuid', :program_uuid, true),
    set_config('linking.curriculum_uuid', coalesce(:curriculum_uuid, ''), true),
    set_config('linking.found_enrollments', coalesce((
        SELECT array_agg(enrollment.id ORDER BY enrollment.id)
        FROM unnest(ARRAY(
            SELECT json_array_elements_text(CAST(:external_user_keys AS json))
        )) AS sent (external_user_key)
        CROSS JOIN LATERAL (
            SELECT id, program_uuid, curriculum_uuid
            FROM program_enrollments_programenrollment
            WHERE external_user_key = sent.external_user_key
            OFFSET 0
        ) AS enrollment
        WHERE enrollment.program_uuid = CAST(:program_uuid AS uuid)
        AND (CAST(:curriculum_uuid AS uuid) IS NULL OR enrollment.curriculum_uuid = CAST(:curriculum_uuid AS uuid))
    ), '{}')::text, true),
    set_config('linking.found_users', coalesce((
        SELECT array_agg(DISTINCT account.id)
        FROM unnest(ARRAY(SELECT json_array_elements_text(CAST(:usernames AS json)))) AS sent (username)
        JOIN auth_user AS account ON account.username = sent.username
    ), '{}')::text, true)
"""

# Locked in id order, by statements of their own: in READ COMMITTED only a later one sees what the wait was for.
# The program-course enrollments are locked too: their status decides what is written of their course enrollments.
LOCK_AND_READ = """
SELECT count(*) FROM (
    SELECT FROM unnest(current_setting('linking.found_enrollments')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
    ORDER BY enrollment.id
    FOR UPDATE OF enrollment
) AS locked;

SELECT count(*) FROM (
    SELECT FROM unnest(current_setting('linking.found_enrollments')::integer[]) AS found (id)
    JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = found.id
    ORDER BY course.id
    FOR NO KEY UPDATE OF course
) AS locked;

WITH
enrollment AS MATERIALIZED (
    SELECT enrollment.*
    FROM unnest(current_setting('linking.found_enrollments')::integer[]) AS found (id)
    CROSS JOIN LATERAL (
        SELECT * FROM program_enrollments_programenrollment WHERE id = found.id OFFSET 0
    ) AS enrollment
    WHERE enrollment.program_uuid = current_setting('linking.program_uuid')::uuid
    AND current_setting('linking.curriculum_uuid') IN ('', enrollment.curriculum_uuid::text)
),
waiting_course AS MATERIALIZED (
    SELECT course.id, course.program_enrollment_id, course.course_key
    FROM enrollment
    JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = enrollment.id
)
SELECT json_build_object(
    'users', (
        SELECT json_object_agg(account.username, account.id)
        FROM unnest(current_setting('linking.found_users')::integer[]) AS found (id)
        JOIN auth_user AS account ON account.id = found.id
    ),
    'enrollments', (
        SELECT json_agg(json_build_array(
            enrollment.id, enrollment.external_user_key, enrollment.curriculum_uuid, enrollment.user_id, holder.username
        ) ORDER BY enrollment.id)
        FROM enrollment
        LEFT JOIN auth_user AS holder ON holder.id = enrollment.user_id
    ),
    'missing_courses', (
        SELECT json_object_agg(missing.program_enrollment_id, missing.course_key)
        FROM (
            SELECT DISTINCT ON (program_enrollment_id) program_enrollment_id, course_key
            FROM waiting_course
            WHERE NOT EXISTS (SELECT FROM course_overviews_courseoverview WHERE id = waiting_course.course_key)
            ORDER BY program_enrollment_id, waiting_course.id
        ) AS missing
    ),
    'pending_roles', (
        SELECT json_agg(json_build_array(waiting_course.program_enrollment_id, assignment.id) ORDER BY assignment.id)
        FROM waiting_course
        JOIN program_enrollments_courseaccessroleassignment AS assignment
            ON assignment.enrollment_id = waiting_course.id
    ),
    'taken', (
        SELECT json_agg(json_build_array(held.user_id, held.curriculum_uuid))
        FROM unnest(current_setting('linking.found_users')::integer[]) AS found (id)
        CROSS JOIN LATERAL (
            SELECT user_id, curriculum_uuid, program_uuid
            FROM program_enrollments_programenrollment
            WHERE user_id = found.id
            OFFSET 0
        ) AS held
        WHERE held.program_uuid = current_setting('linking.program_uuid')::uuid
    )
)
"""

TABLES = [
    "auth_user",
    "course_modes_coursemode",
    "course_overviews_courseoverview",
    "program_enrollments_courseaccessroleassignment",
    "program_enrollments_historicalprogramcourseenrollment",
    "program_enrollments_historicalprogramenrollment",
    "program_enrollments_programcourseenrollment",
    "program_enrollments_programenrollment",
    "student_courseaccessrole",
    "student_courseenrollment",
    "student_courseenrollment_history",
]

# One constant statement, so that a pooler may give the next one to another server connection.
MISSING_TABLES = f"""
SELECT concat_ws(', ', {", ".join(f"CASE WHEN to_regclass('{table}') IS NULL THEN '{table}' END" for table in TABLES)})
"""
