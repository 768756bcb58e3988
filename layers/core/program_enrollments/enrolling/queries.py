"""The SQL of enrolling: constant scripts, which read what a batch is about from settings of its transaction.

Those are `enrolling.program_uuid`, `enrolling.course_key` and `enrolling.student_keys` (a JSON list). What is written
under savepoints gets `items`, each the JSON list of one key's writes.
"""

from program_enrollments.masters_track import enter

# The rule that a key is in a program and curriculum once.
KEY_CONSTRAINT = "program_enrollments_prog_external_user_key_progra_ec52a567_uniq"

SET_REQUEST = """
SELECT
    set_config('enrolling.program_uuid', :program_uuid, true),
    set_config('enrolling.course_key', :course_key, true),
    set_config('enrolling.org', :org, true),
    set_config('enrolling.student_keys', :student_keys, true)
"""

# Writers of one program go one after the other: no key comes into it twice, in whatever spelling.
# The enrollments are locked in id order, by a statement of its own: in READ COMMITTED only a later one sees what the
# wait was for. IS TRUE keeps the planner from making a join of what has to be a hashed look-up.
FIND_AND_LOCK = """
SELECT pg_advisory_xact_lock(
    hashtextextended('enrolling ' || current_setting('enrolling.program_uuid'), 0)
);

SELECT set_config('enrolling.found', coalesce(array_agg(id ORDER BY id), '{}')::text, true)
FROM program_enrollments_programenrollment
WHERE program_uuid = current_setting('enrolling.program_uuid')::uuid
AND (lower(external_user_key) IN (
    SELECT lower(student_key)
    FROM json_array_elements_text(current_setting('enrolling.student_keys')::json) AS sent (student_key)
)) IS TRUE;

SELECT count(*) FROM (
    SELECT FROM unnest(current_setting('enrolling.found')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
    ORDER BY enrollment.id
    FOR UPDATE OF enrollment
) AS locked;
"""

READ_PROGRAM = """
SELECT json_build_object('enrollments', (
    SELECT json_agg(json_build_array(
        enrollment.id, external_user_key, curriculum_uuid, status, user_id
    ) ORDER BY enrollment.id)
    FROM unnest(current_setting('enrolling.found')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
))
"""

# A key is active elsewhere as it is spelt in the request or in the program: there is no index that ignores case.
READ_COURSE = """
WITH
enrollment AS MATERIALIZED (
    SELECT enrollment.*
    FROM unnest(current_setting('enrolling.found')::integer[]) AS found (id)
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = found.id
),
spelling AS MATERIALIZED (
    SELECT json_array_elements_text(current_setting('enrolling.student_keys')::json) AS external_user_key
    UNION
    SELECT external_user_key FROM enrollment
)
SELECT json_build_object(
    'course_exists', EXISTS (
        SELECT FROM course_overviews_courseoverview WHERE id = current_setting('enrolling.course_key')
    ),
    'enrollments', (
        SELECT json_agg(json_build_array(id, external_user_key, curriculum_uuid, status, user_id) ORDER BY id)
        FROM enrollment
    ),
    'courses', (
        SELECT json_agg(json_build_array(course.id, program_enrollment_id, course.status, course_enrollment_id))
        FROM enrollment
        CROSS JOIN LATERAL (
            SELECT * FROM program_enrollments_programcourseenrollment
            WHERE program_enrollment_id = enrollment.id
            OFFSET 0
        ) AS course
        WHERE course.course_key = current_setting('enrolling.course_key')
    ),
    'elsewhere', (
        SELECT json_agg(json_build_array(spelling.external_user_key, course.id, other.program_uuid) ORDER BY course.id)
        FROM spelling
        CROSS JOIN LATERAL (
            SELECT id, program_uuid
            FROM program_enrollments_programenrollment
            WHERE external_user_key = spelling.external_user_key
            OFFSET 0
        ) AS other
        CROSS JOIN LATERAL (
            SELECT * FROM program_enrollments_programcourseenrollment
            WHERE program_enrollment_id = other.id
            OFFSET 0
        ) AS course
        WHERE other.program_uuid <> current_setting('enrolling.program_uuid')::uuid
        AND course.course_key = current_setting('enrolling.course_key') AND course.status = 'active'
    )
)
"""

# The accounts by which a SAML provider knows keys, whatever their case; two that differ only in case count as none.
IDENTITIES = """
SELECT json_object_agg(uid, user_id)
FROM (
    SELECT lower(uid) AS uid, min(user_id) AS user_id
    FROM social_auth_usersocialauth
    WHERE provider = 'tpa-saml'
    AND uid LIKE CAST(:prefix AS text)
    AND (lower(uid) IN (SELECT lower(value) FROM json_array_elements_text(CAST(:uids AS json)))) IS TRUE
    GROUP BY lower(uid)
    HAVING count(*) = 1
) AS identity
"""

# All that has to be written, taken out of the items once.
BEGIN_WRITES = """
DECLARE
    writes CONSTANT jsonb := (SELECT jsonb_agg(write) FROM unnest(items) AS item, jsonb_array_elements(item) AS write);
BEGIN
"""
END_WRITES = "END;"

PROGRAM_ENROLLMENTS = """
WITH
write AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(writes) AS write (
        id integer, external_user_key text, curriculum_uuid uuid, status text, user_id integer
    )
),
created AS (
    INSERT INTO program_enrollments_programenrollment
        (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
    SELECT
        now.now, now.now, external_user_key, current_setting('enrolling.program_uuid')::uuid,
        curriculum_uuid, status, user_id
    FROM (SELECT clock_timestamp()) AS now (now), write
    WHERE id IS NULL
    RETURNING *
),
changed AS (
    UPDATE program_enrollments_programenrollment AS enrollment
    SET status = write.status, modified = (SELECT clock_timestamp())
    FROM write
    WHERE enrollment.id = write.id
    RETURNING enrollment.*
)
INSERT INTO program_enrollments_historicalprogramenrollment (
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, history_date, history_type
)
SELECT
    id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), type
FROM (SELECT *, '+' AS type FROM created UNION ALL SELECT *, '~' FROM changed) AS written
ORDER BY id;
"""

# Accounts enter the master's track as linking lets them; the course enrollments of the others follow a changed status.
ENTER_COURSE = enter("""
            SELECT DISTINCT write.user_id, current_setting('enrolling.course_key') AS course_key,
                write.status = 'active' AS is_active
            FROM jsonb_to_recordset(writes) AS write (user_id integer, status text, enters boolean)
            WHERE write.enters
            ORDER BY write.user_id
""")

FOLLOW_STATUS = """
WITH
write AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(writes) AS write (
        id integer, status text, enters boolean
    )
),
changed AS MATERIALIZED (
    SELECT DISTINCT course.course_enrollment_id, write.status = 'active' AS is_active
    FROM write
    CROSS JOIN LATERAL (
        SELECT status, course_enrollment_id
        FROM program_enrollments_programcourseenrollment
        WHERE id = write.id
        OFFSET 0
    ) AS course
    WHERE NOT write.enters AND course.status <> write.status
),
followed AS (
    UPDATE student_courseenrollment AS course_enrollment
    SET is_active = changed.is_active
    FROM changed
    WHERE course_enrollment.id = changed.course_enrollment_id AND course_enrollment.is_active <> changed.is_active
    RETURNING course_enrollment.*
)
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), '~'
FROM followed;
"""

COURSE_ENROLLMENTS = """
WITH
write AS MATERIALIZED (
    SELECT write.*, course_enrollment.id AS course_enrollment_id
    FROM jsonb_to_recordset(writes) AS write (
        id integer, program_enrollment_id integer, user_id integer, status text, enters boolean
    )
    LEFT JOIN LATERAL (
        SELECT id FROM student_courseenrollment
        WHERE write.enters AND user_id = write.user_id AND course_id || '' = current_setting('enrolling.course_key')
        OFFSET 0
    ) AS course_enrollment ON true
),
created AS (
    INSERT INTO program_enrollments_programcourseenrollment
        (created, modified, course_key, status, course_enrollment_id, program_enrollment_id)
    SELECT
        now.now, now.now, current_setting('enrolling.course_key'), status, course_enrollment_id,
        program_enrollment_id
    FROM (SELECT clock_timestamp()) AS now (now), write
    WHERE id IS NULL
    RETURNING *
),
changed AS (
    UPDATE program_enrollments_programcourseenrollment AS course
    SET
        status = write.status,
        course_enrollment_id = coalesce(write.course_enrollment_id, course.course_enrollment_id),
        modified = (SELECT clock_timestamp())
    FROM write
    WHERE course.id = write.id AND (course.status <> write.status OR write.enters)
    RETURNING course.*
)
INSERT INTO program_enrollments_historicalprogramcourseenrollment (
    id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, history_date, history_type
)
SELECT
    id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), type
FROM (SELECT *, '+' AS type FROM created UNION ALL SELECT *, '~' FROM changed) AS written
ORDER BY id;
"""

# A role waits as an assignment while its key waits for an account, or its account is inactive. A course key without an
# organization cannot become a role.
STAFF = """
IF current_setting('enrolling.org') = ''
AND jsonb_path_exists(writes, '$[*] ? (@.course_staff == true)') THEN
    RAISE EXCEPTION 'course key % names no organization', current_setting('enrolling.course_key')
        USING ERRCODE = 'not_null_violation';
END IF;

WITH
staff AS MATERIALIZED (
    SELECT course.id, course.course_key, write.user_id, write.course_staff, account.is_active IS TRUE AS is_active
    FROM jsonb_to_recordset(writes) AS write (
        program_enrollment_id integer, user_id integer, course_staff boolean
    )
    CROSS JOIN LATERAL (
        SELECT id, course_key
        FROM program_enrollments_programcourseenrollment
        WHERE program_enrollment_id = write.program_enrollment_id
        OFFSET 0
    ) AS course
    LEFT JOIN LATERAL (SELECT is_active FROM auth_user WHERE id = write.user_id OFFSET 0) AS account ON true
    WHERE write.course_staff IS NOT NULL AND course.course_key = current_setting('enrolling.course_key')
),
given AS (
    INSERT INTO student_courseaccessrole (org, course_id, role, user_id)
    SELECT DISTINCT current_setting('enrolling.org'), course_key, 'staff', user_id
    FROM staff
    WHERE course_staff AND is_active
    ON CONFLICT (user_id, org, course_id, role) DO NOTHING
),
taken AS (
    DELETE FROM student_courseaccessrole AS held
    USING staff
    WHERE NOT staff.course_staff
    AND held.user_id = staff.user_id AND held.course_id || '' = staff.course_key AND held.role || '' = 'staff'
),
assigned AS (
    INSERT INTO program_enrollments_courseaccessroleassignment (created, modified, role, enrollment_id)
    SELECT now.now, now.now, 'staff', staff.id
    FROM (SELECT clock_timestamp()) AS now (now), staff
    WHERE staff.course_staff AND NOT staff.is_active
    ON CONFLICT (role, enrollment_id) DO NOTHING
)
DELETE FROM program_enrollments_courseaccessroleassignment AS assignment
USING staff
WHERE assignment.enrollment_id = staff.id AND assignment.role || '' = 'staff'
AND (staff.is_active OR NOT staff.course_staff);
"""

KEPT = """
reported := (
    SELECT jsonb_agg(DISTINCT jsonb_build_array(
        course_enrollment.id, course_enrollment.course_id, course_enrollment.mode
    ))
    FROM jsonb_to_recordset(writes) AS write (user_id integer, enters boolean)
    CROSS JOIN LATERAL (
        SELECT id, course_id, mode FROM student_courseenrollment
        WHERE write.enters AND user_id = write.user_id AND course_id || '' = current_setting('enrolling.course_key')
        OFFSET 0
    ) AS course_enrollment
    WHERE course_enrollment.mode <> 'masters'
);
"""

WRITE_PROGRAM = BEGIN_WRITES + PROGRAM_ENROLLMENTS + END_WRITES
WRITE_COURSE = BEGIN_WRITES + ENTER_COURSE + FOLLOW_STATUS + COURSE_ENROLLMENTS + STAFF + KEPT + END_WRITES
