"""The SQL of enrolling: constant scripts, which read what a batch is about from settings of its transaction.

Those are `enrolling.program_uuid`, `enrolling.course_key` and `enrolling.student_keys` (a JSON list). What is written
under savepoints gets `items`, each the JSON list of one key's writes, and each write the list of its fields.
"""

from program_enrollments import history
from program_enrollments.masters_track import RECORD_ENTERED, entered

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
# The enrollments are locked in id order, and are what they are after the wait. `+ 0` keeps the planner from walking
# all programs in that order, and IS TRUE from making a join of what has to be a hashed look-up.
FIND_AND_LOCK = """
SELECT pg_advisory_xact_lock(
    hashtextextended('enrolling ' || current_setting('enrolling.program_uuid'), 0)
);

SELECT
    set_config('enrolling.found', coalesce(array_agg(id), '{}')::text, true),
    set_config('enrolling.spellings', coalesce(json_agg(external_user_key), '[]')::text, true),
    set_config('enrolling.enrollments', coalesce(json_agg(json_build_array(
        id, external_user_key, curriculum_uuid, status, user_id
    )), '[]')::text, true)
FROM (
    SELECT *
    FROM program_enrollments_programenrollment
    WHERE program_uuid = current_setting('enrolling.program_uuid')::uuid
    AND (lower(external_user_key) IN (
        SELECT lower(student_key)
        FROM json_array_elements_text(current_setting('enrolling.student_keys')::json) AS sent (student_key)
    )) IS TRUE
    ORDER BY id + 0
    FOR UPDATE
) AS enrollment;
"""

READ_PROGRAM = "SELECT json_build_object('enrollments', current_setting('enrolling.enrollments')::json)"

# By a statement after the one that locks: in READ COMMITTED only a later one sees what the wait was for.
# A key is active elsewhere as it is spelt in the request or in the program: there is no index that ignores case.
READ_COURSE = """
WITH
spelling AS MATERIALIZED (
    SELECT json_array_elements_text(current_setting('enrolling.student_keys')::json) AS external_user_key
    UNION
    SELECT json_array_elements_text(current_setting('enrolling.spellings')::json)
)
SELECT json_build_object(
    'course_exists', EXISTS (
        SELECT FROM course_overviews_courseoverview WHERE id = current_setting('enrolling.course_key')
    ),
    'enrollments', current_setting('enrolling.enrollments')::json,
    'courses', (
        SELECT json_agg(json_build_array(course.id, program_enrollment_id, course.status, course_enrollment_id))
        FROM unnest(current_setting('enrolling.found')::integer[]) AS found (id)
        CROSS JOIN LATERAL (
            SELECT * FROM program_enrollments_programcourseenrollment
            WHERE program_enrollment_id = found.id AND course_key = current_setting('enrolling.course_key')
            OFFSET 0
        ) AS course
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
            WHERE program_enrollment_id = other.id AND course_key = current_setting('enrolling.course_key')
            OFFSET 0
        ) AS course
        WHERE other.program_uuid <> current_setting('enrolling.program_uuid')::uuid AND course.status = 'active'
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

# The fields of all writes, taken out of the items once: a column of each, for `unnest`.
PROGRAM_WRITES = """
DECLARE
    ids integer[];
    keys text[];
    curricula uuid[];
    statuses text[];
    users integer[];
BEGIN
    SELECT
        array_agg((write ->> 0)::integer), array_agg(write ->> 1), array_agg((write ->> 2)::uuid),
        array_agg(write ->> 3), array_agg((write ->> 4)::integer)
    INTO ids, keys, curricula, statuses, users
    FROM jsonb_path_query(to_jsonb(items), '$[*][*]') AS write;
"""
COURSE_WRITES = """
DECLARE
    ids integer[];
    program_enrollments integer[];
    users integer[];
    statuses text[];
    entering boolean[];
    staff boolean[];
    entered_ids jsonb;
BEGIN
    SELECT
        array_agg((write ->> 0)::integer), array_agg((write ->> 1)::integer), array_agg((write ->> 2)::integer),
        array_agg(write ->> 3), array_agg((write ->> 4)::boolean), array_agg((write ->> 5)::boolean)
    INTO ids, program_enrollments, users, statuses, entering, staff
    FROM jsonb_path_query(to_jsonb(items), '$[*][*]') AS write;
"""
END_WRITES = "END;"

PROGRAM_ENROLLMENTS = """
WITH
write AS MATERIALIZED (
    SELECT *
    FROM unnest(ids, keys, curricula, statuses, users)
        AS write (id, external_user_key, curriculum_uuid, status, user_id)
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
<record enrollments>;
"""

# Accounts enter the master's track as linking lets them; the course enrollments of the others follow a changed status.
TRACK = """
            SELECT DISTINCT write.user_id, current_setting('enrolling.course_key') AS course_key,
                write.status = 'active' AS is_active
            FROM unnest(users, statuses, entering) AS write (user_id, status, enters)
            WHERE write.enters
            ORDER BY write.user_id
"""
COLLECT_ENTERED = "SELECT jsonb_object_agg(user_id, id) INTO entered_ids FROM entered"
ENTER_COURSE = f"WITH {entered(TRACK)}, recorded AS ({RECORD_ENTERED}) {COLLECT_ENTERED};"

FOLLOW_STATUS = """
WITH
changed AS MATERIALIZED (
    SELECT DISTINCT course.course_enrollment_id, write.status = 'active' AS is_active
    FROM unnest(ids, statuses, entering) AS write (id, status, enters)
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
    RETURNING course_enrollment.*, '~' AS history_type
)
<record followed>;
"""

COURSE_ENROLLMENTS = """
WITH
write AS MATERIALIZED (
    SELECT write.*, coalesce(entered_id, met.id) AS course_enrollment_id, met.mode
    FROM (
        SELECT *, CASE WHEN enters THEN (entered_ids ->> user_id::text)::integer END AS entered_id
        FROM unnest(ids, program_enrollments, users, statuses, entering)
            AS write (id, program_enrollment_id, user_id, status, enters)
    ) AS write
    LEFT JOIN LATERAL (
        SELECT id, mode FROM student_courseenrollment
        WHERE write.enters AND write.entered_id IS NULL
        AND user_id = write.user_id AND course_id || '' = current_setting('enrolling.course_key')
        OFFSET 0
    ) AS met ON true
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
),
recorded AS (<record courses>)
SELECT jsonb_agg(DISTINCT jsonb_build_array(
    course_enrollment_id, current_setting('enrolling.course_key'), mode
)) INTO reported
FROM write
WHERE mode <> 'masters';
"""

# A role waits as an assignment while its key waits for an account, or its account is inactive. A course key without an
# organization cannot become a role.
STAFF = """
IF current_setting('enrolling.org') = '' AND true = ANY (staff) THEN
    RAISE EXCEPTION 'course key % names no organization', current_setting('enrolling.course_key')
        USING ERRCODE = 'not_null_violation';
END IF;

WITH
staff AS MATERIALIZED (
    SELECT course.id, course.course_key, write.user_id, write.course_staff, account.is_active IS TRUE AS is_active
    FROM unnest(program_enrollments, users, staff) AS write (program_enrollment_id, user_id, course_staff)
    CROSS JOIN LATERAL (
        SELECT id, course_key
        FROM program_enrollments_programcourseenrollment
        WHERE program_enrollment_id = write.program_enrollment_id
        AND course_key = current_setting('enrolling.course_key')
        OFFSET 0
    ) AS course
    LEFT JOIN LATERAL (SELECT is_active FROM auth_user WHERE id = write.user_id OFFSET 0) AS account ON true
    WHERE write.course_staff IS NOT NULL
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

WRITE_PROGRAM = (PROGRAM_WRITES + PROGRAM_ENROLLMENTS + END_WRITES).replace(
    "<record enrollments>", history.record(history.PROGRAM_ENROLLMENTS, history.CREATED_OR_CHANGED)
)
WRITE_COURSE = (
    (COURSE_WRITES + ENTER_COURSE + FOLLOW_STATUS + COURSE_ENROLLMENTS + STAFF + END_WRITES)
    .replace("<record followed>", history.record(history.COURSE_ENROLLMENTS, "followed"))
    .replace("<record courses>", history.record(history.PROGRAM_COURSE_ENROLLMENTS, history.CREATED_OR_CHANGED))
)
