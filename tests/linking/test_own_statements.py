"""Section 3.4: what the service's own statements would meet for every key is no key's fault; a trigger's refusal is."""

import pytest

from benchmarks.roster import add_courses, add_roster
from local.lms import PROGRAM, Lms
from program_enrollments import DatabaseNotReady, link_program_enrollments
from program_enrollments.postgres.session import Connection, close
from tests.faults.support import wait_until
from tests.support import Invoke, refuse, snapshot

WRITTEN = [
    "program_enrollments_historicalprogramcourseenrollment",
    "program_enrollments_historicalprogramenrollment",
    "student_courseaccessrole",
    "student_courseenrollment",
    "student_courseenrollment_history",
]


def wait_for_two_courses(lms: Lms) -> dict[str, str]:
    """Add three keys that wait, one of them doubtful, each with a course and a role; return a batch that links them."""
    course = lms.course()
    batch = {}
    for number in range(3):
        lms.user(f"user-{number}")
        lms.role_assignment(lms.enrollment(f"key-{number}", [course]), course)
        batch[f"key-{number}"] = f"user-{number}"
    lms.enrollment("old", user_id=lms.run("SELECT id FROM auth_user WHERE username = 'user-1'")[0][0])
    return batch


@pytest.mark.parametrize("table", WRITTEN)
def test_a_column_that_a_later_open_edx_adds(lms: Lms, invoke: Invoke, table: str) -> None:
    """A column that has to be filled and that linking does not know is named, with its table; nothing changes."""
    batch = wait_for_two_courses(lms)
    lms.run(f"ALTER TABLE {table} ADD COLUMN added_later integer NOT NULL")
    before = snapshot(lms)
    with pytest.raises(DatabaseNotReady, match=f'column "added_later" of relation "{table}"'):
        invoke(batch)
    assert snapshot(lms) == before


@pytest.mark.parametrize("table", [*WRITTEN, "program_enrollments_programcourseenrollment", "course_modes_coursemode"])
def test_a_column_that_is_not_there(lms: Lms, other_session: Connection, table: str) -> None:
    """A column that linking needs and the database lacks is reported at once; nothing changes."""
    batch = wait_for_two_courses(lms)
    column = {"student_courseaccessrole": "org", "course_modes_coursemode": "mode_slug"}.get(table, "course_id")
    column = "status" if table.startswith("program") else column
    lms.enrollment("taken", [lms.course("course-v1:edX+Other+2026")], user_id=lms.user("holder"))
    lms.run(f"ALTER TABLE {table} DROP COLUMN {column} CASCADE")
    before = snapshot(lms)
    with pytest.raises(DatabaseNotReady, match=column):
        link_program_enrollments(other_session, PROGRAM, batch | {"taken": "user-2"}, relink=True)
    assert snapshot(lms) == before


@pytest.mark.parametrize("table", WRITTEN)
def test_a_privilege_that_is_missing(lms: Lms, invoke: Invoke, table: str) -> None:
    """A privilege that the service's role lacks is reported at once; nothing changes."""
    batch = wait_for_two_courses(lms)
    role = lms.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'program_linking_service%'")[0][0]
    lms.run(f"REVOKE INSERT ON {table} FROM {role}")
    before = snapshot(lms)
    with pytest.raises(DatabaseNotReady, match=f"permission denied for table {table}"):
        invoke(batch)
    assert snapshot(lms) == before


def test_large_batches_are_refused_at_once(lms: Lms, other_session: Connection) -> None:
    """Of 1,000 keys that meet the same fault of the set-up none but the first few is tried."""
    add_courses(lms)
    roster = add_roster(lms, 1_000)
    lms.run("ALTER TABLE student_courseenrollment ADD COLUMN added_later integer NOT NULL")
    with pytest.raises(DatabaseNotReady, match="added_later"):
        link_program_enrollments(other_session, roster.program_uuid, roster.external_keys_to_usernames)
    close(other_session)  # which sends its statistics
    others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
    wait_until(lambda: not lms.run(others))
    tried = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'program_enrollments_programenrollment'"
    assert lms.run(tried)[0][0] <= 1_000


@pytest.mark.parametrize("sqlstate", ["EDX01", "P0001", "23514", "23502", "0A000", "28000", "XX000", "ABCDE"])
@pytest.mark.parametrize("table", ["program_enrollments_programenrollment", "student_courseenrollment"])
def test_a_trigger_of_the_lms(lms: Lms, invoke: Invoke, table: str, sqlstate: str) -> None:
    """A trigger that refuses one key with an SQLSTATE of its own fails that key, and the others are linked."""
    batch = wait_for_two_courses(lms)
    user_id = lms.run("SELECT id FROM auth_user WHERE username = 'user-2'")[0][0]
    refuse(lms, table, f"NEW.user_id = {user_id}", sqlstate=sqlstate)
    answer = invoke(batch)
    assert (answer["linked"], answer["error_codes"], answer["errors"]["key-2"]) == (
        1,
        {"key-1": "integrity-error", "key-2": "integrity-error"},
        "IntegrityError: refused by a trigger",
    )
