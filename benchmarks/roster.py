"""Rosters by the thousand, and a large LMS to put around them."""

import uuid
from dataclasses import dataclass

from benchmarks.plain import link_plainly
from local.lms import CURRICULUM, Lms

COURSE_KEYS = ["course-v1:BenchX+C1+R", "course-v1:BenchX+C2+R"]
NO_COURSE = "course-v1:BenchX+Gone+R"
# Each hundred of a mixed roster holds these five, one for each way in which a key can fail.
FAILING = 5


@dataclass(frozen=True)
class Roster:
    """A program with waiting keys, and the accounts that they are to be linked to."""

    program_uuid: str
    external_keys_to_usernames: dict[str, str]


def add_courses(lms: Lms) -> None:
    """Add the course runs of all rosters."""
    for course_key in COURSE_KEYS:
        lms.course(course_key)


def add_roster(lms: Lms, size: int) -> Roster:
    """Add a program with that many waiting keys, an account for each, and two courses for each key."""
    program = str(uuid.uuid4())
    name = f"r{program[:8]}"
    lms.run(
        f"""
        INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_superuser, is_active,
            date_joined)
        SELECT '{name}-user-' || n, '', '', '', '', false, false, true, now() FROM generate_series(1, {size}) AS n;
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
        SELECT now(), now(), '{name}-key-' || n, '{program}', '{CURRICULUM}', 'enrolled'
        FROM generate_series(1, {size}) AS n;
        INSERT INTO program_enrollments_programcourseenrollment
            (created, modified, course_key, status, program_enrollment_id)
        SELECT now(), now(), course_key, 'active', enrollment.id
        FROM program_enrollments_programenrollment AS enrollment
        CROSS JOIN unnest(ARRAY['{COURSE_KEYS[0]}', '{COURSE_KEYS[1]}']) AS course_key
        WHERE program_uuid = '{program}'
        """
    )
    return Roster(program, {f"{name}-key-{n}": f"{name}-user-{n}" for n in range(1, size + 1)})


def add_linked_roster(lms: Lms, size: int) -> Roster:
    """Add a roster whose keys are all linked and enrolled, and that are to go to other accounts."""
    roster = add_roster(lms, size)
    others = add_roster(lms, size)
    link_plainly(lms.connection, roster.program_uuid, roster.external_keys_to_usernames)
    usernames = others.external_keys_to_usernames.values()
    return Roster(roster.program_uuid, dict(zip(roster.external_keys_to_usernames, usernames, strict=True)))


def add_mixed_roster(lms: Lms, size: int) -> Roster:
    """Add a roster of which five keys in a hundred fail, in all the ways that there are."""
    roster = add_roster(lms, size)
    pairs = list(roster.external_keys_to_usernames.items())
    batch = dict(pairs)
    for start in range(0, size - FAILING, 100):
        (no_user, _), (no_key, _), (linked, account), (no_course, _), (taken, holder) = pairs[start : start + FAILING]
        batch[no_user] = "nobody"
        batch[f"{no_key}-unknown"] = batch.pop(no_key)
        _link(lms, linked, account if start % 200 else holder)
        lms.run(
            f"UPDATE program_enrollments_programcourseenrollment SET course_key = '{NO_COURSE}'"
            f" WHERE program_enrollment_id = {_enrollment_id(no_course)} AND course_key = '{COURSE_KEYS[0]}'"
        )
        lms.enrollment(f"{taken}-other", user_id=lms.user(f"{holder}-other"), program=roster.program_uuid)
        batch[taken] = f"{holder}-other"
    return Roster(roster.program_uuid, batch)


def add_surroundings(lms: Lms, users: int, course_enrollments: int) -> None:
    """Put other programs, accounts and course enrollments around the rosters, with statistics up to date."""
    lms.run(
        f"""
        INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_superuser, is_active,
            date_joined)
        SELECT 'other-' || n, '', '', '', '', false, false, true, now() FROM generate_series(1, {users}) AS n;
        INSERT INTO course_overviews_courseoverview
        SELECT (jsonb_populate_record(overview, jsonb_build_object('id', 'course-v1:OtherX+C' || n || '+R'))).*
        FROM (SELECT overview FROM course_overviews_courseoverview AS overview LIMIT 1) AS one,
            generate_series(1, 500) AS n;
        INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
        SELECT now(), true, 'audit',
            'course-v1:OtherX+C' || 1 + (n / {users} * 97 + account.id) % 500 || '+R', account.id
        FROM generate_series(0, {course_enrollments} - 1) AS n
        JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM auth_user WHERE username LIKE 'other-%')
            AS account ON account.number = n % {users};
        INSERT INTO student_courseenrollment_history
            (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
        SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), now(), '+'
        FROM student_courseenrollment;
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
        SELECT now(), now(), 'other-' || n, md5((n % 50)::text)::uuid, '{CURRICULUM}', 'enrolled'
        FROM generate_series(1, {users}) AS n;
        INSERT INTO program_enrollments_programcourseenrollment
            (created, modified, course_key, status, program_enrollment_id)
        SELECT now(), now(), 'course-v1:OtherX+C' || 1 + (enrollment.id + k) % 500 || '+R', 'active', enrollment.id
        FROM program_enrollments_programenrollment AS enrollment, generate_series(1, 2) AS k
        WHERE external_user_key LIKE 'other-%';
        INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key,
            program_uuid, curriculum_uuid, status, history_date, history_type)
        SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, now(), '+'
        FROM program_enrollments_programenrollment;
        ANALYZE
        """
    )


def _link(lms: Lms, key: str, username: str) -> None:
    lms.run(
        "UPDATE program_enrollments_programenrollment"
        f" SET user_id = (SELECT id FROM auth_user WHERE username = '{username}') WHERE external_user_key = '{key}'"
    )


def _enrollment_id(key: str) -> str:
    return f"(SELECT id FROM program_enrollments_programenrollment WHERE external_user_key = '{key}')"
