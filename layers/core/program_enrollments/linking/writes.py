"""The writes of linking: PL/pgSQL for `write_each`, which hands over many `items` at once or one by itself.

Every new value is computed from the row that is changed, as it is when its lock is there. History is stamped row by
row, after the wait that each row may have cost.
"""

from program_enrollments import history
from program_enrollments.masters_track import RECORD_ENTERED, entered

# Items are keys: a `user`, its `enrollments`, and those of them that are `relinked`, which lose another user first.
# What is kept in a mode of its own is reported: the course enrollment's id, its course and its mode.
# Unlinking looks at the modes that Open edX would: neither expired nor credit; a course that has none offers audit.
NO_SUCH_COURSE = "LNK01"
# A course that a key waits for twice, in two curricula, ends as its last program-course enrollment says.
TRACK = """
            SELECT DISTINCT ON (link.user_id, course.course_key)
                link.user_id, course.course_key, course.status <> 'inactive' AS is_active
            FROM unnest(enrollments, users) AS link (enrollment_id, user_id)
            JOIN program_enrollments_programcourseenrollment AS course
                ON course.program_enrollment_id = link.enrollment_id
            ORDER BY link.user_id, course.course_key, course.program_enrollment_id DESC, course.id DESC
"""
CLAIM = """
DECLARE
    enrollments integer[];
    users integer[];
    relinked integer[];
    missing_course text;
BEGIN
    SELECT
        array_agg(enrollment.id::integer ORDER BY number, place),
        array_agg((item -> 'user')::integer ORDER BY number, place)
    INTO enrollments, users
    FROM unnest(items) WITH ORDINALITY AS item (item, number)
    CROSS JOIN LATERAL jsonb_array_elements(item -> 'enrollments') WITH ORDINALITY AS enrollment (id, place);

    SELECT array_agg(enrollment.id::integer) INTO relinked
    FROM unnest(items) AS item CROSS JOIN LATERAL jsonb_array_elements(item -> 'relinked') AS enrollment (id);

    IF relinked IS NOT NULL THEN
        WITH
        unlinked AS (
            UPDATE student_courseenrollment AS former
            SET is_active = false, mode = CASE WHEN track.is_audit THEN 'audit' ELSE former.mode END
            FROM (
                SELECT course_enrollment.id, (
                    SELECT coalesce(bool_or(offered.mode_slug = 'audit'), true)
                    FROM course_modes_coursemode AS offered
                    WHERE offered.course_id = course_enrollment.course_id
                    AND offered.mode_slug <> 'credit'
                    AND (offered.expiration_datetime IS NULL OR offered.expiration_datetime >= now())
                ) AS is_audit
                FROM (
                    SELECT DISTINCT course.course_enrollment_id AS id
                    FROM unnest(relinked) AS link (enrollment_id)
                    JOIN program_enrollments_programcourseenrollment AS course
                        ON course.program_enrollment_id = link.enrollment_id
                ) AS held
                JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = held.id
            ) AS track
            WHERE former.id = track.id
            AND (former.is_active OR (track.is_audit AND former.mode <> 'audit'))
            RETURNING former.*, '~' AS history_type
        )
        <record unlinked>;
    END IF;

    WITH
    claimed AS (
        UPDATE program_enrollments_programenrollment AS enrollment
        SET user_id = link.user_id, modified = (SELECT clock_timestamp())
        FROM unnest(enrollments, users) AS link (enrollment_id, user_id)
        WHERE enrollment.id = link.enrollment_id
        RETURNING enrollment.*, '~' AS history_type
    )
    <record claimed>;

    SELECT course.course_key INTO missing_course
    FROM unnest(enrollments) WITH ORDINALITY AS link (enrollment_id, number)
    JOIN program_enrollments_programcourseenrollment AS course ON course.program_enrollment_id = link.enrollment_id
    WHERE NOT EXISTS (SELECT FROM course_overviews_courseoverview WHERE id = course.course_key)
    ORDER BY link.number, course.id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LNK01', MESSAGE = 'no such course', DETAIL = missing_course;
    END IF;
"""
POINT = """
    WITH
    entered AS (
        UPDATE program_enrollments_programcourseenrollment AS course
        SET course_enrollment_id = course_enrollment.id, modified = (SELECT clock_timestamp())
        FROM unnest(enrollments, users) AS link (enrollment_id, user_id), student_courseenrollment AS course_enrollment
        WHERE course.program_enrollment_id = link.enrollment_id
        AND course_enrollment.user_id = link.user_id
        AND course_enrollment.course_id || '' = course.course_key
        RETURNING course.*, course_enrollment.mode, '~' AS history_type
    ),
    recorded AS (<record entered>)
    SELECT jsonb_agg(jsonb_build_array(course_enrollment_id, course_key, mode) ORDER BY id) INTO reported
    FROM entered
    WHERE mode <> 'masters';
END;
"""
ENTER = f"WITH {entered(TRACK)} {RECORD_ENTERED};"
LINK = (
    (CLAIM + ENTER + POINT)
    .replace("<record unlinked>", history.record(history.COURSE_ENROLLMENTS, "unlinked"))
    .replace("<record claimed>", history.record(history.PROGRAM_ENROLLMENTS, "claimed"))
    .replace("<record entered>", history.record(history.PROGRAM_COURSE_ENROLLMENTS, "entered"))
)

# Items are ids of assignments: pending course roles become roles, and go; inactive accounts keep theirs.
# The org is the first part of a course key; a key without one cannot become a role.
FULFIL_ROLES = """
DECLARE
    assignments CONSTANT integer[] := ARRAY(SELECT item::integer FROM unnest(items) AS item);
    new_style CONSTANT text := '^course-v1:([^+]+)[+][^+]+[+]';
    old_style CONSTANT text := '^([^/:]+)/[^/]+/';
    unusable text;
BEGIN
    SELECT course.course_key INTO unusable
    FROM unnest(assignments) AS pending (id)
    JOIN program_enrollments_courseaccessroleassignment AS assignment ON assignment.id = pending.id
    JOIN program_enrollments_programcourseenrollment AS course ON course.id = assignment.enrollment_id
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = course.program_enrollment_id
    JOIN auth_user AS account ON account.id = enrollment.user_id
    WHERE account.is_active AND course.course_key !~ new_style AND course.course_key !~ old_style
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'course key % names no organization', unusable USING ERRCODE = 'not_null_violation';
    END IF;

    WITH
    fulfilled AS (
        DELETE FROM program_enrollments_courseaccessroleassignment AS assignment
        USING
            unnest(assignments) AS pending (id),
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
        coalesce(substring(course_key FROM new_style), substring(course_key FROM old_style)), course_key, role, user_id
    FROM fulfilled
    ON CONFLICT (user_id, org, course_id, role) DO NOTHING;
END;
"""
