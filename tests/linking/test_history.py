"""History: one row for each change, as Open edX's history tables have them."""

import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pg8000.native import Connection

from lambda_runtime.connection import forget_connection
from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import DatabaseNotReady
from tests.support import Invoke, Post

MADE = datetime(2026, 1, 1, tzinfo=UTC)
NO_COURSE = "course-v1:edX+Gone+2026"
HISTORY_TABLES = [
    "program_enrollments_historicalprogramcourseenrollment",
    "program_enrollments_historicalprogramenrollment",
    "student_courseenrollment_history",
]


def only_id(lms: Lms, table: str) -> int:
    """The id of the one row of a table."""
    [[found]] = lms.rows(table, "id")
    return int(found)


def history(lms: Lms) -> list[list[list[object]]]:
    """The rows of the three history tables, without their own keys and dates."""
    return [
        lms.run("""
            SELECT id, external_user_key, program_uuid, curriculum_uuid, status, user_id, created,
                history_type, history_user_id, history_change_reason
            FROM program_enrollments_historicalprogramenrollment ORDER BY history_id
        """),
        lms.run("""
            SELECT id, course_key, status, course_enrollment_id, program_enrollment_id, created,
                history_type, history_user_id, history_change_reason
            FROM program_enrollments_historicalprogramcourseenrollment ORDER BY history_id
        """),
        lms.run("""
            SELECT id, user_id, course_id, mode, is_active, history_type, history_user_id, history_change_reason
            FROM student_courseenrollment_history ORDER BY history_date
        """),
    ]


@pytest.mark.parametrize(("status", "is_active"), [("active", True), ("inactive", False)])
def test_new_course_enrollment(lms: Lms, invoke: Invoke, status: str, *, is_active: bool) -> None:
    """A link leaves one row each of the enrollment, its course and the new course enrollment with its final values."""
    alice = lms.user("alice")
    enrollment_id = lms.enrollment("student-001", {lms.course(): status})
    invoke({"student-001": "alice"})
    course_id = only_id(lms, "program_enrollments_programcourseenrollment")
    course_enrollment_id = only_id(lms, "student_courseenrollment")
    assert history(lms) == [
        [
            [enrollment_id, "student-001", UUID(PROGRAM), UUID(CURRICULUM), "enrolled", alice, MADE, "~", None, None],
        ],
        [
            [course_id, DEMO_COURSE, status, course_enrollment_id, enrollment_id, MADE, "~", None, None],
        ],
        [
            [course_enrollment_id, alice, DEMO_COURSE, "masters", is_active, "+", None, None],
        ],
    ]


def test_changed_course_enrollment(lms: Lms, invoke: Invoke) -> None:
    """A course enrollment that was there and changed leaves a `~`."""
    alice = lms.user("alice")
    course_enrollment_id = lms.course_enrollment(alice, DEMO_COURSE, "audit")
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice"})
    assert history(lms)[2] == [[course_enrollment_id, alice, DEMO_COURSE, "masters", True, "~", None, None]]


@pytest.mark.parametrize(
    ("mode", "is_active", "status"),
    [("masters", True, "active"), ("masters", False, "inactive"), ("verified", True, "active")],
)
def test_unchanged_course_enrollment(lms: Lms, invoke: Invoke, mode: str, status: str, *, is_active: bool) -> None:
    """A course enrollment that stays as it is leaves no history; the enrollment and its course do."""
    lms.course_enrollment(lms.user("alice"), DEMO_COURSE, mode, is_active=is_active)
    lms.enrollment("student-001", {lms.course(): status})
    invoke({"student-001": "alice"})
    assert [len(rows) for rows in history(lms)] == [1, 1, 0]


def test_history_is_what_is_there(lms: Lms, invoke: Invoke) -> None:
    """The history's values, times included, are those of the rows themselves."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course(), lms.course("edX/Other/2026")])
    invoke({"student-001": "alice"})
    for table, historical, columns in [
        (
            "program_enrollments_programenrollment",
            "program_enrollments_historicalprogramenrollment",
            "id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id",
        ),
        (
            "program_enrollments_programcourseenrollment",
            "program_enrollments_historicalprogramcourseenrollment",
            "id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id",
        ),
        (
            "student_courseenrollment",
            "student_courseenrollment_history",
            "id, created, is_active, mode, course_id, user_id",
        ),
    ]:
        assert lms.rows(historical, columns) == lms.rows(table, columns)


def test_times(lms: Lms, invoke: Invoke) -> None:
    """`modified` moves on where a row changed, `created` does not, and history is dated when it happened."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    lms.enrollment("student-002", [DEMO_COURSE])
    began = lms.run("SELECT clock_timestamp()")[0][0]
    invoke({"student-001": "alice", "student-002": "nobody"})
    ended = lms.run("SELECT clock_timestamp()")[0][0]
    for table in ("program_enrollments_programenrollment", "program_enrollments_programcourseenrollment"):
        [[changed_created, changed], [created, unchanged]] = lms.run(
            f"SELECT created, modified FROM {table} ORDER BY id"
        )
        assert (changed_created, created, unchanged) == (MADE, MADE, MADE)
        assert began < changed < ended
    [[made]] = lms.rows("student_courseenrollment", "created")
    assert began < made < ended
    for table in HISTORY_TABLES:
        [[dated]] = lms.rows(table, "history_date")
        assert began < dated < ended


@pytest.mark.parametrize(
    "failing",
    [
        pytest.param({"student-001": "nobody"}, id="user-not-found"),
        pytest.param({"student-999": "alice"}, id="not-in-program"),
        pytest.param({"linked": "alice"}, id="already-linked"),
        pytest.param({"linked": "bob"}, id="conflict"),
        pytest.param({"without course": "bob"}, id="course-not-found"),
        pytest.param({"student-001": "alice"}, id="integrity-error"),
    ],
)
def test_failed_key(lms: Lms, invoke: Invoke, failing: dict[str, str]) -> None:
    """A key that fails leaves no history."""
    lms.course_enrollment(lms.user("bob"), DEMO_COURSE, "audit")
    lms.enrollment("linked", [lms.course()], user_id=lms.user("alice"))
    lms.enrollment("student-001", [DEMO_COURSE])
    lms.enrollment("without course", [DEMO_COURSE, NO_COURSE])
    assert invoke(failing)["linked"] == 0
    assert history(lms) == [[], [], []]


def test_order_within_object(lms: Lms, invoke: Invoke) -> None:
    """Within one object the dates of history strictly increase, however often one batch changes it."""
    alice = lms.user("alice")
    lms.course()
    for number in range(6):
        lms.enrollment(
            f"student-{number}",
            {DEMO_COURSE: "inactive" if number % 2 else "active"},
            curriculum=f"c0ffee00-0000-4000-8000-00000000000{number}",
        )
    assert invoke({f"student-{number}": "alice" for number in range(6)})["linked"] == 6
    rows = lms.run(
        "SELECT user_id, is_active, history_type FROM student_courseenrollment_history ORDER BY history_date"
    )
    assert rows == [
        [alice, True, "+"],
        [alice, False, "~"],
        [alice, True, "~"],
        [alice, False, "~"],
        [alice, True, "~"],
        [alice, False, "~"],
    ]
    assert len({date for (date,) in lms.rows("student_courseenrollment_history", "history_date")}) == 6


@pytest.mark.parametrize(
    ("table", "historical", "change"),
    [
        pytest.param(
            "program_enrollments_programenrollment",
            "program_enrollments_historicalprogramenrollment",
            "status = 'suspended', modified = clock_timestamp()",
            id="program enrollment",
        ),
        pytest.param(
            "program_enrollments_programcourseenrollment",
            "program_enrollments_historicalprogramcourseenrollment",
            "status = 'inactive', modified = clock_timestamp()",
            id="program-course enrollment",
        ),
        pytest.param(
            "student_courseenrollment", "student_courseenrollment_history", "mode = 'honor'", id="course enrollment"
        ),
    ],
)
def test_order_after_wait(  # noqa: PLR0913, PLR0917 - a row of the table
    lms: Lms, other_session: Connection, invoke: Invoke, table: str, historical: str, change: str
) -> None:
    """What another session wrote while the batch waited for its lock comes first, in `modified` and in history."""
    lms.course_enrollment(lms.user("alice"), DEMO_COURSE, "audit")
    lms.enrollment("student-001", [lms.course()])
    columns = ", ".join(
        row[0]
        for row in lms.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0", name=table
        )
    )
    history_id = "history_id, " if table == "student_courseenrollment" else ""
    new_history_id = "gen_random_uuid(), " if table == "student_courseenrollment" else ""
    other_session.run(f"BEGIN; SELECT FROM {table} FOR UPDATE")

    def finish_late() -> None:
        time.sleep(0.4)
        other_session.run(f"""
            UPDATE {table} SET {change};
            INSERT INTO {historical} ({columns}, {history_id}history_date, history_type)
            SELECT {columns}, {new_history_id}clock_timestamp(), '~' FROM {table};
            COMMIT
        """)

    other = threading.Thread(target=finish_late)
    other.start()
    assert invoke({"student-001": "alice"})["linked"] == 1
    other.join()
    theirs, ours = lms.run(f"SELECT {columns}, history_date FROM {historical} ORDER BY history_date")
    assert theirs[-1] < ours[-1]
    assert lms.rows(table, columns) == [ours[:-1]]
    if "modified" in columns:
        [theirs_modified, ours_modified] = [
            row[0] for row in lms.run(f"SELECT modified FROM {historical} ORDER BY history_date")
        ]
        assert theirs_modified < ours_modified


@pytest.mark.slow
@pytest.mark.parametrize("waits_for", range(3))
def test_modified_after_wait(lms: Lms, other_session: Connection, invoke: Invoke, waits_for: int) -> None:
    """`modified` moves on from what another session wrote, whichever of several rows the batch waited for."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course(f"edX/{number}/2026") for number in range(3)])
    table, condition = "program_enrollments_programcourseenrollment", f"course_key = 'edX/{waits_for}/2026'"
    other_session.run(f"BEGIN; SELECT FROM {table} WHERE {condition} FOR UPDATE")
    theirs = []

    def finish_late() -> None:
        time.sleep(0.4)
        theirs.extend(
            other_session.run(f"UPDATE {table} SET modified = clock_timestamp() WHERE {condition} RETURNING modified")
        )
        other_session.run("COMMIT")

    other = threading.Thread(target=finish_late)
    other.start()
    assert invoke({"student-001": "alice"})["linked"] == 1
    other.join()
    [[ours]] = lms.run(f"SELECT modified FROM {table} WHERE {condition}")
    assert theirs[0][0] < ours


@pytest.mark.parametrize("table", HISTORY_TABLES)
def test_bare_database(lms: Lms, invoke: Invoke, post: Post, table: str) -> None:
    """A database without a history table is an error that names it, and nothing is linked."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    lms.run(f"DROP TABLE {table}")
    message = (
        f"The database lacks {table}. Run `python -m program_enrollments.migrate` against a database of your own;"
        " on Open edX's, run its migrations, or look at PGDATABASE and the role's search_path."
    )
    with pytest.raises(DatabaseNotReady, match=f"^{message}$"):
        invoke({"student-001": "alice"})
    assert post({"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}}) == (
        500,
        {"message": message, "details": []},
    )
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]


def test_history_table_dropped_later(lms: Lms, invoke: Invoke) -> None:
    """Where a history table goes away under a warm connection, the batch is refused and nothing is linked."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    assert invoke({"student-999": "alice"})["linked"] == 0
    lms.run("DROP TABLE student_courseenrollment_history")
    with pytest.raises(DatabaseNotReady, match="student_courseenrollment_history"):
        invoke({"student-001": "alice"})
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[None]]


def test_restored_database(lms: Lms, invoke: Invoke) -> None:
    """Once the missing table is there, the next invocation links."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.run("ALTER TABLE student_courseenrollment_history RENAME TO away")
    forget_connection()
    with pytest.raises(DatabaseNotReady):
        invoke({"student-001": "alice"})
    lms.run("ALTER TABLE away RENAME TO student_courseenrollment_history")
    assert invoke({"student-001": "alice"})["linked"] == 1
