"""Linking in an LMS that grew since its statistics were taken, as a new one does."""

import pytest

from local.lms import Lms
from local.roster import COURSES, load_sample_roster
from program_enrollments import link_program_enrollments

KEYS = 20_000
PROGRAM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_PROGRAM = "c0ffee00-0000-4000-8000-000000000003"
FILL = f"""
INSERT INTO auth_user
    (username, is_active, password, first_name, last_name, email, is_staff, is_superuser, date_joined)
SELECT 'user-' || number, true, '!', '', '', '', false, false, now() FROM generate_series(1, {KEYS}) AS number;

INSERT INTO program_enrollments_programenrollment
    (external_user_key, program_uuid, curriculum_uuid, status, created, modified)
SELECT 'student-' || number, program, program, 'enrolled', now(), now()
FROM unnest(ARRAY['{PROGRAM}', '{OTHER_PROGRAM}']::uuid[]) AS program
CROSS JOIN generate_series(1, {KEYS}) AS number;

INSERT INTO program_enrollments_programcourseenrollment (program_enrollment_id, course_key, status, created, modified)
SELECT enrollment.id, course.id, 'active', now(), now()
FROM program_enrollments_programenrollment AS enrollment
CROSS JOIN unnest(ARRAY['{COURSES[0]}', '{COURSES[1]}']) AS course (id)
WHERE program_uuid IN ('{PROGRAM}', '{OTHER_PROGRAM}');
"""


@pytest.mark.parametrize(
    "is_analyzed",
    [
        "never",
        *(pytest.param(when, marks=pytest.mark.slow) for when in ("when it was empty", "before anybody was linked")),
    ],
)
def test_a_second_large_batch_in_a_new_lms(lms: Lms, is_analyzed: str) -> None:
    """Large batches take seconds, even where the statistics say that programs are small and courses nearly empty."""
    load_sample_roster(lms)
    lms.run("ANALYZE" if is_analyzed == "when it was empty" else "")
    lms.run(FILL)
    lms.run("ANALYZE" if is_analyzed == "before anybody was linked" else "")
    for first in (1, KEYS // 2 + 1):
        numbers = range(first, first + KEYS // 2)
        batch = {f"student-{number}": f"user-{number}" for number in numbers}
        assert link_program_enrollments(lms.connection, PROGRAM, batch, seconds=20).linked == 10_000
