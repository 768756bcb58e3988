"""The SQL of reading, one statement a verb, so that each answer is of one moment.

Each goes to its rows by the one index of Open edX that is right in every LMS. `OFFSET 0` keeps conditions that many
rows meet from leading the planner to another one.
"""

# One pass over all program enrollments of the LMS: by an index that has both columns, or over the table.
PROGRAMS = """
SELECT json_agg(json_build_object(
    'program_uuid', program_uuid,
    'enrollments', enrollments,
    'linked', linked,
    'waiting', enrollments - linked
) ORDER BY program_uuid)
FROM (
    SELECT program_uuid, count(*) AS enrollments, count(user_id) AS linked
    FROM program_enrollments_programenrollment
    GROUP BY program_uuid
) AS program
"""

# Open edX has no index over program and id: a page looks either at all enrollments of the program or at all of a window
# of ids, whatever statistics say. `direction` is -1 for a page that is read backwards.
PAGE = """
SELECT json_agg(
    json_build_array(enrollment.id, json_build_object(
        'student_key', enrollment.external_user_key,
        'status', enrollment.status,
        'account_exists', enrollment.user_id IS NOT NULL,
        'curriculum_uuid', enrollment.curriculum_uuid,
        'username', holder.username,
        'created', enrollment.created,
        'modified', enrollment.modified
    )) ORDER BY enrollment.id
)
FROM (
    SELECT id, external_user_key, status, curriculum_uuid, user_id, created, modified
    FROM (
        SELECT *
        FROM program_enrollments_programenrollment
        WHERE <looked at>
        OFFSET 0
    ) AS enrollment
    WHERE <looked for>
    AND (CAST(:waiting AS boolean) IS NULL OR (user_id IS NULL) = CAST(:waiting AS boolean))
    AND (CAST(:status AS text) IS NULL OR status = CAST(:status AS text))
    AND (CAST(:curriculum_uuid AS uuid) IS NULL OR curriculum_uuid = CAST(:curriculum_uuid AS uuid))
    ORDER BY id * CAST(:direction AS integer)
    LIMIT CAST(:rows AS integer)
) AS enrollment
LEFT JOIN auth_user AS holder ON holder.id = enrollment.user_id
"""

IN_PROGRAM = "program_uuid = CAST(:program_uuid AS uuid)"
IN_WINDOW = "id BETWEEN CAST(:lowest_id AS bigint) AND CAST(:highest_id AS bigint)"
PAGE_BY_PROGRAM = PAGE.replace("<looked at>", IN_PROGRAM).replace("<looked for>", IN_WINDOW)
PAGE_BY_WINDOW = PAGE.replace("<looked at>", IN_WINDOW).replace("<looked for>", IN_PROGRAM)

# Either the key or the username is NULL, and finds nothing. A history has one row more than is shown: what the oldest
# one changed. Keys that differ only in case have no index: all keys of the programs in question are looked at.
LEARNER = """
WITH
found AS MATERIALIZED (
    SELECT by_key.*
    FROM (
        SELECT id, program_uuid, curriculum_uuid, external_user_key, status, user_id, created, modified
        FROM program_enrollments_programenrollment
        WHERE external_user_key = CAST(:external_user_key AS text)
        OFFSET 0
    ) AS by_key
    WHERE CAST(:program_uuid AS uuid) IS NULL OR program_uuid = CAST(:program_uuid AS uuid)
    UNION ALL
    SELECT by_user.*
    FROM (
        SELECT id, program_uuid, curriculum_uuid, external_user_key, status, user_id, created, modified
        FROM program_enrollments_programenrollment
        WHERE user_id = (SELECT id FROM auth_user WHERE username = CAST(:username AS text))
        OFFSET 0
    ) AS by_user
    WHERE CAST(:program_uuid AS uuid) IS NULL OR program_uuid = CAST(:program_uuid AS uuid)
),
held AS MATERIALIZED (
    SELECT holder.username, theirs.program_uuid, theirs.external_user_key
    FROM (SELECT DISTINCT user_id FROM found) AS holding
    JOIN auth_user AS holder ON holder.id = holding.user_id
    CROSS JOIN LATERAL (
        SELECT program_uuid, external_user_key
        FROM program_enrollments_programenrollment
        WHERE user_id = holding.user_id
        OFFSET 0
    ) AS theirs
),
asked AS (
    SELECT program_uuid, external_user_key FROM found
    UNION
    SELECT CAST(:program_uuid AS uuid), CAST(:external_user_key AS text)
),
alike AS MATERIALIZED (
    SELECT asked.program_uuid, asked.external_user_key AS asked_key, other.external_user_key
    FROM asked
    CROSS JOIN LATERAL (
        SELECT external_user_key
        FROM program_enrollments_programenrollment
        WHERE program_uuid = asked.program_uuid
        OFFSET 0
    ) AS other
    WHERE lower(other.external_user_key) = lower(asked.external_user_key)
    AND other.external_user_key <> asked.external_user_key
)
SELECT json_build_object(
    'account', (
        SELECT json_build_object('username', username, 'is_active', is_active)
        FROM auth_user
        WHERE username = CAST(:username AS text)
    ),
    'held', coalesce((
        SELECT json_agg(json_build_array(program_uuid, username, external_user_key)) FROM held
    ), '[]'),
    'similar', coalesce((
        SELECT json_agg(json_build_array(program_uuid, asked_key, external_user_key)) FROM alike
    ), '[]'),
    'enrollments', coalesce((
        SELECT json_agg(json_build_object(
            'program_uuid', enrollment.program_uuid,
            'curriculum_uuid', enrollment.curriculum_uuid,
            'external_user_key', enrollment.external_user_key,
            'status', enrollment.status,
            'holder', CASE WHEN holder.id IS NOT NULL THEN
                json_build_object('username', holder.username, 'is_active', holder.is_active)
            END,
            'courses', coalesce((
                SELECT json_agg(json_build_object(
                    'course_key', course.course_key,
                    'status', course.status,
                    'course_exists', EXISTS (
                        SELECT FROM course_overviews_courseoverview WHERE id = course.course_key
                    ),
                    'course_enrollment', CASE WHEN course_enrollment.id IS NOT NULL THEN json_build_object(
                        'username', enrolled.username,
                        'mode', course_enrollment.mode,
                        'is_active', course_enrollment.is_active,
                        'history', (
                            SELECT json_agg(json_build_object(
                                'when', past.history_date,
                                'type', past.history_type,
                                'who', who.username,
                                'fields', json_build_object('mode', past.mode, 'is_active', past.is_active)
                            ) ORDER BY past.history_date DESC, past.history_type DESC)
                            FROM (
                                SELECT history_date, history_type, history_user_id, mode, is_active
                                FROM student_courseenrollment_history
                                WHERE id = course_enrollment.id
                                ORDER BY history_date DESC, history_type DESC
                                LIMIT CAST(:history_rows AS integer)
                            ) AS past
                            LEFT JOIN auth_user AS who ON who.id = past.history_user_id
                        )
                    ) END,
                    'pending_roles', coalesce((
                        SELECT json_agg(role ORDER BY role)
                        FROM program_enrollments_courseaccessroleassignment
                        WHERE enrollment_id = course.id
                    ), '[]'),
                    'created', course.created,
                    'modified', course.modified,
                    'history', (
                        SELECT json_agg(json_build_object(
                            'when', past.history_date,
                            'type', past.history_type,
                            'who', who.username,
                            'fields', json_build_object(
                                'status', past.status, 'has_course_enrollment', past.course_enrollment_id IS NOT NULL
                            )
                        ) ORDER BY past.history_date DESC, past.history_id DESC)
                        FROM (
                            SELECT
                                history_date, history_type, history_user_id, history_id, status, course_enrollment_id
                            FROM program_enrollments_historicalprogramcourseenrollment
                            WHERE id = course.id
                            ORDER BY history_date DESC, history_id DESC
                            LIMIT CAST(:history_rows AS integer)
                        ) AS past
                        LEFT JOIN auth_user AS who ON who.id = past.history_user_id
                    )
                ) ORDER BY course.id)
                FROM program_enrollments_programcourseenrollment AS course
                LEFT JOIN student_courseenrollment AS course_enrollment
                    ON course_enrollment.id = course.course_enrollment_id
                LEFT JOIN auth_user AS enrolled ON enrolled.id = course_enrollment.user_id
                WHERE course.program_enrollment_id = enrollment.id
            ), '[]'),
            'created', enrollment.created,
            'modified', enrollment.modified,
            'history', (
                SELECT json_agg(json_build_object(
                    'when', past.history_date,
                    'type', past.history_type,
                    'who', who.username,
                    'fields', json_build_object(
                        'external_user_key', past.external_user_key,
                        'curriculum_uuid', past.curriculum_uuid,
                        'status', past.status,
                        'holder', CASE WHEN past.user_id IS NOT NULL THEN coalesce(former.username, '(deleted)') END
                    )
                ) ORDER BY past.history_date DESC, past.history_id DESC)
                FROM (
                    SELECT
                        history_date, history_type, history_user_id, history_id,
                        external_user_key, curriculum_uuid, status, user_id
                    FROM program_enrollments_historicalprogramenrollment
                    WHERE id = enrollment.id
                    ORDER BY history_date DESC, history_id DESC
                    LIMIT CAST(:history_rows AS integer)
                ) AS past
                LEFT JOIN auth_user AS who ON who.id = past.history_user_id
                LEFT JOIN auth_user AS former ON former.id = past.user_id
            )
        ) ORDER BY enrollment.program_uuid, enrollment.id)
        FROM found AS enrollment
        LEFT JOIN auth_user AS holder ON holder.id = enrollment.user_id
    ), '[]')
)
"""
