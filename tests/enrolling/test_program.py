"""Enrolling in programs: what each row becomes, in each combination of what is asked for and what is there."""

from typing import Any

import pytest

from local.lms import CURRICULUM, Lms
from tests.enrolling.conftest import Write

OTHER_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"


def enrollments(lms: Lms) -> list[list[Any]]:
    """Key, curriculum (1 or 2), status and account of each program enrollment."""
    return lms.run("""
        SELECT external_user_key, right(curriculum_uuid::text, 1)::integer, status, username
        FROM program_enrollments_programenrollment LEFT JOIN auth_user AS account ON account.id = user_id ORDER BY 1, 2
    """)


def history(lms: Lms) -> list[list[Any]]:
    """What was recorded of program enrollments."""
    return lms.run("""
        SELECT external_user_key, right(curriculum_uuid::text, 1)::integer, status, history_type
        FROM program_enrollments_historicalprogramenrollment ORDER BY history_id
    """)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("status", ["enrolled", "pending", "suspended", "canceled", "ended"])
def test_new_keys(lms: Lms, write: Write, method: str, status: str) -> None:
    """A key that is not in the program comes into it, waiting, with the status asked for, and is recorded once."""
    row = {"student_key": "student-001", "status": status, "curriculum_uuid": CURRICULUM}
    assert write(method, [row]) == {"student-001": status}
    assert enrollments(lms) == [["student-001", 1, status, None]]
    assert history(lms) == [["student-001", 1, status, "+"]]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("holder", [None, "alice"])
def test_changed_status(lms: Lms, write: Write, method: str, holder: str | None) -> None:
    """An enrollment gets the status asked for, waiting or linked, and keeps its account; the change is recorded."""
    lms.enrollment("student-001", user_id=lms.user(holder) if holder else None)
    row = {"student_key": "student-001", "status": "suspended", "curriculum_uuid": CURRICULUM}
    assert write(method, [row]) == {"student-001": "suspended"}
    assert enrollments(lms) == [["student-001", 1, "suspended", holder]]
    assert history(lms) == [["student-001", 1, "suspended", "~"]]
    assert lms.run("SELECT modified > created FROM program_enrollments_programenrollment") == [[True]]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_as_asked_for_already(lms: Lms, write: Write, method: str) -> None:
    """An enrollment that has the status asked for is neither written nor recorded."""
    lms.enrollment("student-001")
    row = {"student_key": "student-001", "status": "enrolled", "curriculum_uuid": CURRICULUM}
    assert write(method, [row]) == {"student-001": "enrolled"}
    assert history(lms) == []
    assert lms.run("SELECT modified > created FROM program_enrollments_programenrollment") == [[False]]


def test_what_is_there_is_not_created_again(lms: Lms, write: Write) -> None:
    """To create a key that is in the program and curriculum is a conflict, whatever its case; others are created."""
    lms.enrollment("student-001")
    rows = [
        {"student_key": "Student-001", "status": "ended", "curriculum_uuid": CURRICULUM},
        {"student_key": "student-002", "status": "ended", "curriculum_uuid": CURRICULUM},
    ]
    assert write("POST", rows) == {"Student-001": "conflict", "student-002": "ended"}
    assert enrollments(lms) == [["student-001", 1, "enrolled", None], ["student-002", 1, "ended", None]]


def test_a_second_curriculum(lms: Lms, write: Write) -> None:
    """A key comes into a second curriculum beside its first, spelt as it is there."""
    lms.enrollment("student-001")
    row = {"student_key": "STUDENT-001", "status": "pending", "curriculum_uuid": OTHER_CURRICULUM}
    assert write("POST", [row]) == {"STUDENT-001": "pending"}
    assert enrollments(lms) == [["student-001", 1, "enrolled", None], ["student-001", 2, "pending", None]]


def test_all_curricula_of_a_key(lms: Lms, write: Write) -> None:
    """A row without a curriculum changes the key in all that it has."""
    lms.enrollment("student-001")
    lms.enrollment("student-001", curriculum=OTHER_CURRICULUM)
    assert write("PATCH", [{"student_key": "student-001", "status": "canceled"}]) == {"student-001": "canceled"}
    assert enrollments(lms) == [["student-001", 1, "canceled", None], ["student-001", 2, "canceled", None]]


def test_verdicts(lms: Lms, write: Write) -> None:
    """Each row that cannot be written has the first verdict that applies, and the others are written."""
    lms.enrollment("student-001")
    rows = [
        {"student_key": "student-001", "status": "ended"},
        {"student_key": "student-002", "status": "ended"},
        {"student_key": "student-003", "status": "active"},
        {"student_key": "student-004", "status": "ended"},
        {"student_key": "Student-004", "status": "unknown"},
    ]
    assert write("PATCH", rows) == {
        "student-001": "ended",
        "student-002": "not-in-program",
        "student-003": "invalid-status",
        "student-004": "duplicated",
        "Student-004": "duplicated",
    }
    assert enrollments(lms) == [["student-001", 1, "ended", None]]


def test_a_refused_row_leaves_the_others(lms: Lms, write: Write) -> None:
    """A row that the server refuses is an internal error and leaves nothing; the others are written."""
    lms.run("ALTER TABLE program_enrollments_programenrollment ADD CHECK (external_user_key NOT LIKE '%7')")
    rows = [
        {"student_key": f"student-{number}", "status": "enrolled", "curriculum_uuid": CURRICULUM}
        for number in range(1, 10)
    ]
    statuses = write("POST", rows)
    assert [key for key, status in statuses.items() if status != "enrolled"] == ["student-7"]
    assert statuses["student-7"] == "internal-error"
    assert [key for key, *_ in enrollments(lms)] == [f"student-{number}" for number in range(1, 10) if number != 7]
    assert len(history(lms)) == 8


@pytest.mark.parametrize("key", ["null", "NULL", "{}", '"', "\\N", "a,b", " k ", "\ufeffk", "ẞ", "x" * 255])
def test_keys_are_literal(lms: Lms, write: Write, key: str) -> None:
    """A key is stored exactly as it was sent."""
    assert write("POST", [{"student_key": key, "status": "enrolled", "curriculum_uuid": CURRICULUM}]) == {
        key: "enrolled"
    }
    assert enrollments(lms) == [[key, 1, "enrolled", None]]


def test_no_rows(lms: Lms, write: Write) -> None:
    """No rows are no work."""
    assert write("POST", []) == {}
    assert enrollments(lms) == []
