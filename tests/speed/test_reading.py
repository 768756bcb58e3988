"""Reading in a large LMS: by the indexes that Open edX has, and the hundredth page at the cost of the first."""

from collections.abc import Callable, Iterator

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, Lms
from program_enrollments import read_enrollments, read_learner, read_programs
from tests.speed.conftest import Plan
from tests.speed.test_plans import LARGE, nodes

USERS = 200_000
PROGRAMS = 50
SMALL_PROGRAM = "c4ca4238-a0b9-2382-0dcc-509a6f75849b"  # md5 of 1
LARGE_PROGRAM = "00000000-0000-4000-8000-000000000000"
PAGE = 100
HUNDREDTH = 100

# The large program has every second enrollment, as if all programs had grown over the same years. Foreign keys hold
# without a check of each row.
FILL = f"""
SET session_replication_role = replica;

INSERT INTO auth_user
    (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
SELECT 'user-' || n, '', '', '', '', false, false, true, now() FROM generate_series(1, {USERS}) AS n;

INSERT INTO program_enrollments_programenrollment
    (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
SELECT now(), now(), 'student-' || id,
    CASE WHEN id % 2 = 0 THEN '{LARGE_PROGRAM}' ELSE md5((id % {PROGRAMS})::text)::uuid END, '{CURRICULUM}', 'enrolled',
    CASE WHEN id % 3 > 0 THEN id END
FROM auth_user
ORDER BY id;

INSERT INTO program_enrollments_programcourseenrollment (created, modified, course_key, status, program_enrollment_id)
SELECT now(), now(), '{DEMO_COURSE}', 'active', id FROM program_enrollments_programenrollment LIMIT {2 * LARGE};

INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, now(), '+'
FROM program_enrollments_programenrollment LIMIT {2 * LARGE};

INSERT INTO program_enrollments_historicalprogramcourseenrollment (id, created, modified, course_key, status,
    program_enrollment_id, history_date, history_type)
SELECT id, created, modified, course_key, status, program_enrollment_id, now(), '+'
FROM program_enrollments_programcourseenrollment;

INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
SELECT now(), true, 'masters', '{DEMO_COURSE}', id FROM auth_user LIMIT {2 * LARGE};

INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), now(), '+' FROM student_courseenrollment;

SET session_replication_role = origin;
ANALYZE
"""


@pytest.mark.slow
def test_reading_in_a_large_lms(lms: Lms, plans: list[Plan], record_property: Callable[[str, object], None]) -> None:
    """In an LMS of 200,000 users, reads go by its indexes, and the hundredth page looks at no more than the first."""
    lms.course()
    lms.run(FILL)
    pages = list(blocks_of_pages(lms, plans))
    record_property("figures", f"blocks of the first page {pages[0]:,}, of the others at most {max(pages[1:]):,}")
    assert max(pages[1:]) < pages[0] / 2

    read_enrollments(lms.connection, SMALL_PROGRAM, waiting=True, status="enrolled", page_size=10)
    read_enrollments(lms.connection, SMALL_PROGRAM, before=USERS)
    read_learner(lms.connection, external_user_key="student-5")
    read_learner(lms.connection, external_user_key="student-51", program_uuid=SMALL_PROGRAM)
    read_learner(lms.connection, username="user-1000")
    assert {scan for plan in plans for scan in whole_scans(lms, plan)} == set()

    plans.clear()
    assert len(read_programs(lms.connection)) == PROGRAMS // 2 + 1
    assert len([scan for plan in plans for scan in whole_scans(lms, plan)]) == 1


def blocks_of_pages(lms: Lms, plans: list[Plan]) -> Iterator[int]:
    """How many blocks each of the first hundred pages of the large program looked at."""
    after, looked_at = None, 0
    for _ in range(HUNDREDTH):
        page = read_enrollments(lms.connection, LARGE_PROGRAM, page_size=PAGE, after=after)
        after, total = page.next_after, sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)
        yield total - looked_at
        looked_at = total


def whole_scans(lms: Lms, plan: Plan) -> Iterator[str]:
    """The large tables and indexes that a plan goes through from the first row to the last."""
    sizes = dict(lms.run("SELECT relname, reltuples FROM pg_class WHERE relkind IN ('r', 'i')"))
    for node in nodes(plan):
        name = node.get("Index Name") or node.get("Relation Name", "")
        is_whole = node["Node Type"] == "Seq Scan" or ("Index Name" in node and "Index Cond" not in node)
        if is_whole and sizes.get(name, 0) > LARGE:
            yield name
