"""The SQL of linking, one constant a verb.

A batch of any size is handed over as arrays, in settings that live as long as the transaction; the scripts that read
them are constant, so that each costs one round trip.

Each join goes from such an array to rows by the one index that is right in every LMS: a key, a user, a course or an id.
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
    set_config('linking.found_enrollments', coalesce((
        SELECT array_agg(enrollment.id ORDER BY enrollment.id)
        FROM unnest(CAST(:external_user_keys AS text[])) AS sent (external_user_key)
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
        FROM unnest(CAST(:usernames AS text[])) AS sent (username)
        JOIN auth_user AS account ON account.username = sent.username
    ), '{}')::text, true)
"""

# Locked in id order, by a statement of its own: in READ COMMITTED only a later one sees what the wait was for.
LOCK_AND_READ = """
SELECT count(*) FROM (
    SELECT FROM unnest(current_setting('linking.found_enrollments')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
    ORDER BY enrollment.id
    FOR UPDATE OF enrollment
) AS locked;

WITH
enrollment AS MATERIALIZED (
    SELECT enrollment.*
    FROM unnest(current_setting('linking.found_enrollments')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
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

# Open edX's unlinking, for program enrollments that are about to get another user (`linking.enrollments`).
UNLINK = """
WITH
unlinked AS (
    UPDATE student_courseenrollment AS course_enrollment
    SET is_active = false, mode = track.mode
    FROM (
        SELECT DISTINCT former.id, CASE WHEN audit.is_offered THEN 'audit' ELSE former.mode END AS mode
        FROM unnest(current_setting('linking.enrollments')::integer[]) AS link (enrollment_id)
        JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = link.enrollment_id
        JOIN student_courseenrollment AS former ON former.id = course.course_enrollment_id
        CROSS JOIN LATERAL (
            SELECT count(*) = 0 OR bool_or(
                mode_slug = 'audit' AND (expiration_datetime IS NULL OR expiration_datetime > now())
            ) AS is_offered
            FROM course_modes_coursemode
            WHERE course_id = former.course_id
        ) AS audit
    ) AS track
    WHERE course_enrollment.id = track.id
    AND (course_enrollment.is_active OR course_enrollment.mode <> track.mode)
    RETURNING course_enrollment.*
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), '~'
FROM unlinked
"""

# The program enrollments get their users (`linking.enrollments` and `linking.users`, pairwise).
CLAIM = """
WITH
claimed AS (
    UPDATE program_enrollments_programenrollment AS enrollment
    SET user_id = link.user_id, modified = (SELECT clock_timestamp())
    FROM unnest(
        current_setting('linking.enrollments')::integer[], current_setting('linking.users')::integer[]
    ) AS link (enrollment_id, user_id)
    WHERE enrollment.id = link.enrollment_id
    RETURNING enrollment.*
)
INSERT INTO program_enrollments_historicalprogramenrollment (
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, history_date, history_type
)
SELECT
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '~'
FROM claimed
ORDER BY id
"""

# The users enter the master's track of each course, in (user, course) order: that is the order of the locks.
# A course that a key waits for twice, in two curricula, ends as its last program-course enrollment says.
# A row that this statement inserted has no xmax; one that it met and changed has.
# History is stamped row by row, after the wait that each row may have cost.
ENROLL = """
WITH
link AS MATERIALIZED (
    SELECT link.*
    FROM unnest(
        current_setting('linking.enrollments')::integer[], current_setting('linking.users')::integer[]
    ) AS link (enrollment_id, user_id)
),
entered AS (
    INSERT INTO student_courseenrollment AS met (created, is_active, mode, course_id, user_id)
    SELECT (SELECT clock_timestamp()), track.is_active, 'masters', track.course_key, track.user_id
    FROM (
        SELECT DISTINCT ON (link.user_id, course.course_key)
            link.user_id, course.course_key, course.status <> 'inactive' AS is_active
        FROM link
        JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = link.enrollment_id
        ORDER BY link.user_id, course.course_key, course.program_enrollment_id DESC, course.id DESC
    ) AS track
    ON CONFLICT (user_id, course_id) DO UPDATE
    SET mode = excluded.mode, is_active = excluded.is_active
    WHERE (NOT met.is_active OR met.mode IN ('audit', 'honor', 'masters'))
    AND (met.mode, met.is_active) <> (excluded.mode, excluded.is_active)
    RETURNING met.*, CASE WHEN met.xmax = 0 THEN '+' ELSE '~' END AS history_type
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), history_type
FROM entered;

WITH
link AS MATERIALIZED (
    SELECT link.*
    FROM unnest(
        current_setting('linking.enrollments')::integer[], current_setting('linking.users')::integer[]
    ) AS link (enrollment_id, user_id)
),
entered AS (
    UPDATE program_enrollments_programcourseenrollment AS course
    SET course_enrollment_id = course_enrollment.id, modified = (SELECT clock_timestamp())
    FROM link, student_courseenrollment AS course_enrollment
    WHERE course.program_enrollment_id = link.enrollment_id
    AND course_enrollment.user_id = link.user_id
    AND course_enrollment.course_id || '' = course.course_key
    RETURNING course.*, course_enrollment.mode
),
recorded AS (
    INSERT INTO program_enrollments_historicalprogramcourseenrollment (
        id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id,
        history_date, history_type
    )
    SELECT
        id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), '~'
    FROM entered
    ORDER BY id
)
SELECT json_agg(json_build_array(course_enrollment_id, course_key, mode) ORDER BY id)
FROM entered
WHERE mode <> 'masters'
"""

# Pending course roles (`linking.assignments`) become roles, and their assignments go; inactive accounts keep theirs.
# The org is the first part of a course key; a key without one is refused by the column's NOT NULL.
FULFIL_ROLES = """
WITH
fulfilled AS (
    DELETE FROM program_enrollments_courseaccessroleassignment AS assignment
    USING
        unnest(current_setting('linking.assignments')::integer[]) AS pending (id),
        program_enrollments_programcourseenrollment AS course,
        program_enrollments_programenrollment AS enrollment,
        auth_user AS account
    WHERE assignment.id = pending.id
    AND course.id = assignment.enrollment_id
    AND enrollment.id = course.program_enrollment_id
    AND account.id = enrollment.user_id
    AND account.is_active
    RETURNING account.id AS user_id, course.course_key, assignment.role
)
INSERT INTO student_courseaccessrole (org, course_id, role, user_id)
SELECT DISTINCT
    coalesce(
        substring(course_key FROM '^course-v1:([^+]+)[+][^+]+[+]'), substring(course_key FROM '^([^/:]+)/[^/]+/')
    ),
    course_key, role, user_id
FROM fulfilled
ON CONFLICT (user_id, org, course_id, role) DO NOTHING
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
