"""Enrolling in courses: what each row becomes, and what follows for the learner."""

from typing import Any

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, Lms
from tests.enrolling.conftest import Row, Write

OTHER_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_PROGRAM = "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a11"


def places(lms: Lms) -> list[list[Any]]:
    """Key, status, and mode and activity of the course enrollment, of each program-course enrollment."""
    return lms.run("""
        SELECT external_user_key, course.status, met.mode, met.is_active
        FROM program_enrollments_programcourseenrollment AS course
        JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
        LEFT JOIN student_courseenrollment AS met ON met.id = course_enrollment_id
        ORDER BY external_user_key, course.id
    """)


def recorded(lms: Lms) -> tuple[list[list[Any]], list[list[Any]]]:
    """What was recorded of program-course enrollments and of course enrollments."""
    return (
        lms.run(
            "SELECT status, course_enrollment_id IS NOT NULL, history_type"
            " FROM program_enrollments_historicalprogramcourseenrollment ORDER BY history_id"
        ),
        lms.run("SELECT mode, is_active, history_type FROM student_courseenrollment_history ORDER BY history_date"),
    )


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("status", ["active", "inactive"])
def test_a_waiting_key(lms: Lms, write: Write, method: str, status: str) -> None:
    """The course of a waiting key waits with it, and is recorded once."""
    lms.enrollment("student-001")
    assert write(method, [{"student_key": "student-001", "status": status}], lms.course()) == {"student-001": status}
    assert places(lms) == [["student-001", status, None, None]]
    assert recorded(lms) == ([[status, False, "+"]], [])


@pytest.mark.parametrize(
    ("now", "status", "becomes", "history"),
    [
        (None, "active", ["masters", True], "+"),
        (None, "inactive", ["masters", False], "+"),
        (("audit", True), "active", ["masters", True], "~"),
        (("honor", True), "inactive", ["masters", False], "~"),
        (("verified", False), "active", ["masters", True], "~"),
        (("masters", True), "active", ["masters", True], None),
        (("verified", True), "active", ["verified", True], None),
        (("verified", True), "inactive", ["verified", True], None),
    ],
)
def test_a_linked_key(  # noqa: PLR0913, PLR0917 - a row of a table
    lms: Lms, write: Write, now: tuple[str, bool] | None, status: str, becomes: list[Any], history: str | None
) -> None:
    """A linked account enters a new course as linking would let it."""
    alice = lms.user("alice")
    lms.enrollment("student-001", user_id=alice)
    if now:
        lms.course_enrollment(alice, DEMO_COURSE, now[0], is_active=now[1])
    assert write("POST", [{"student_key": "student-001", "status": status}], lms.course()) == {"student-001": status}
    assert places(lms) == [["student-001", status, *becomes]]
    assert recorded(lms) == ([[status, True, "+"]], [[*becomes, history]] if history else [])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("mode", ["masters", "audit", "verified"])
@pytest.mark.parametrize("status", ["active", "inactive"])
def test_a_changed_status(lms: Lms, write: Write, method: str, mode: str, status: str) -> None:
    """On a change of status the course enrollment is activated or deactivated, and keeps its mode."""
    alice, before = lms.user("alice"), "inactive" if status == "active" else "active"
    lms.enrollment("student-001", {lms.course(): before}, user_id=alice)
    enrolled = lms.course_enrollment(alice, DEMO_COURSE, mode, is_active=before == "active")
    lms.run("UPDATE program_enrollments_programcourseenrollment SET course_enrollment_id = :id", id=enrolled)
    assert write(method, [{"student_key": "Student-001", "status": status}], DEMO_COURSE) == {"Student-001": status}
    assert places(lms) == [["student-001", status, mode, status == "active"]]
    assert recorded(lms) == ([[status, True, "~"]], [[mode, status == "active", "~"]])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_as_asked_for_already(lms: Lms, write: Write, method: str) -> None:
    """A row that is as asked for changes nothing, even if the course enrollment says otherwise."""
    alice = lms.user("alice")
    lms.enrollment("student-001", {lms.course(): "active"}, user_id=alice)
    enrolled = lms.course_enrollment(alice, DEMO_COURSE, "masters", is_active=False)
    lms.run("UPDATE program_enrollments_programcourseenrollment SET course_enrollment_id = :id", id=enrolled)
    assert write(method, [{"student_key": "student-001", "status": "active"}], DEMO_COURSE) == {"student-001": "active"}
    assert places(lms) == [["student-001", "active", "masters", False]]
    assert recorded(lms) == ([], [])


def test_a_linked_key_whose_course_still_waits(lms: Lms, write: Write) -> None:
    """A linked account enters a course that was left waiting, whatever is asked of its status."""
    lms.enrollment("student-001", {lms.course(): "active"}, user_id=lms.user("alice"))
    assert write("PUT", [{"student_key": "student-001", "status": "active"}], DEMO_COURSE) == {"student-001": "active"}
    assert places(lms) == [["student-001", "active", "masters", True]]


def test_verdicts(lms: Lms, write: Write) -> None:
    """Each row that cannot be written has the first verdict that applies, and the others are written."""
    course = lms.course()
    lms.enrollment("there", {course: "active"})
    lms.enrollment("new")
    lms.enrollment("elsewhere")
    lms.enrollment("elsewhere", {course: "active"}, program=OTHER_PROGRAM)
    rows = [
        {"student_key": "there", "status": "inactive"},
        {"student_key": "new", "status": "active"},
        {"student_key": "nobody", "status": "active"},
        {"student_key": "ELSEWHERE", "status": "active"},
        {"student_key": "twice", "status": "active"},
        {"student_key": "Twice", "status": "active"},
        {"student_key": "wrong", "status": "enrolled"},
    ]
    assert write("POST", rows, course) == {
        "there": "conflict",
        "new": "active",
        "nobody": "not-in-program",
        "ELSEWHERE": "conflict",
        "twice": "duplicated",
        "Twice": "duplicated",
        "wrong": "invalid-status",
    }
    assert write("PATCH", [{"student_key": "elsewhere", "status": "inactive"}], course) == {"elsewhere": "not-found"}
    assert write("PUT", [{"student_key": "elsewhere", "status": "inactive"}], course) == {"elsewhere": "inactive"}


def test_curricula(lms: Lms, write: Write) -> None:
    """A row without a curriculum is about all that the key has; with one, about that only."""
    course = lms.course()
    lms.enrollment("student-001")
    lms.enrollment("student-001", curriculum=OTHER_CURRICULUM)
    row = {"student_key": "student-001", "status": "active"}
    assert write("POST", [row | {"curriculum_uuid": CURRICULUM}], course) == {"student-001": "active"}
    assert len(places(lms)) == 1
    assert write("PUT", [row | {"status": "inactive"}], course) == {"student-001": "inactive"}
    assert [status for _, status, *_ in places(lms)] == ["inactive", "inactive"]


def roles(lms: Lms) -> tuple[list[list[Any]], int]:
    """The course roles that accounts have, and how many wait."""
    return (
        lms.run("SELECT org, course_id, role, user_id FROM student_courseaccessrole"),
        len(lms.rows("program_enrollments_courseaccessroleassignment")),
    )


def test_course_staff_of_a_linked_key(lms: Lms, write: Write) -> None:
    """The staff role is given to a linked account, left as it is if nothing is said, and taken again."""
    alice, course = lms.user("alice"), lms.course()
    lms.enrollment("student-001", user_id=alice)
    row = {"student_key": "student-001", "status": "active"}
    held = [["edX", course, "staff", alice]]
    for more, expected in [
        ({"course_staff": True}, held),
        ({}, held),
        ({"course_staff": True}, held),
        ({"course_staff": False}, []),
    ]:
        write("PUT", [row | more], course)
        assert roles(lms) == (expected, 0)


def test_course_staff_of_a_waiting_key(lms: Lms, write: Write) -> None:
    """The staff role of a waiting key waits with it, and is removed again."""
    course = lms.course()
    lms.enrollment("student-001")
    row = {"student_key": "student-001", "status": "active"}
    for more, waiting in [
        ({"course_staff": True}, 1),
        ({}, 1),
        ({"course_staff": True}, 1),
        ({"course_staff": False}, 0),
    ]:
        write("PUT", [row | more], course)
        assert roles(lms) == ([], waiting)


def test_course_staff_of_an_inactive_account(lms: Lms, write: Write) -> None:
    """The staff role of an inactive account waits, as it does in linking."""
    course = lms.course()
    lms.enrollment("student-001", user_id=lms.user("alice", is_active=False))
    write("PUT", [{"student_key": "student-001", "status": "active", "course_staff": True}], course)
    assert roles(lms) == ([], 1)


def test_a_refused_row_leaves_the_others(lms: Lms, write: Write) -> None:
    """A row that the server refuses is an internal error and leaves nothing, not even a course enrollment."""
    lms.run("ALTER TABLE student_courseaccessrole ADD CHECK (user_id <> 2)")
    course = lms.course()
    for number, username in enumerate(["alice", "bob", "carol"]):
        lms.enrollment(f"student-{number}", user_id=lms.user(username))
    rows = [{"student_key": f"student-{number}", "status": "active", "course_staff": True} for number in range(3)]
    assert write("POST", rows, course) == {"student-0": "active", "student-1": "internal-error", "student-2": "active"}
    assert places(lms) == [["student-0", "active", "masters", True], ["student-2", "active", "masters", True]]
    assert [user_id for *_, user_id in lms.rows("student_courseenrollment", "id, user_id")] == [1, 3]


def test_two_keys_of_one_account(lms: Lms, write: Write) -> None:
    """Of two keys of one account, the course enrollment ends as the last one says."""
    alice, course = lms.user("alice"), lms.course()
    lms.enrollment("first", user_id=alice)
    lms.enrollment("second", user_id=alice, curriculum=OTHER_CURRICULUM)
    rows = [{"student_key": "second", "status": "active"}, {"student_key": "first", "status": "inactive"}]
    assert write("POST", rows, course) == {"second": "active", "first": "inactive"}
    assert places(lms) == [["first", "inactive", "masters", False], ["second", "active", "masters", False]]


def test_a_role_without_an_organization(lms: Lms, write: Write) -> None:
    """A course key that names no organization cannot have staff: only that row is refused."""
    course = lms.course("a course")
    for number, username in enumerate(["alice", "bob"]):
        lms.enrollment(f"student-{number}", user_id=lms.user(username))
    rows: list[Row] = [
        {"student_key": "student-0", "status": "active", "course_staff": True},
        {"student_key": "student-1", "status": "active"},
    ]
    assert write("POST", rows, course) == {"student-0": "internal-error", "student-1": "active"}


@pytest.mark.parametrize(("course", "org"), [("course-v1:Org X+C+R", "Org X"), ("Org/Course/Run", "Org")])
def test_organizations_of_roles(lms: Lms, write: Write, course: str, org: str) -> None:
    """A role has the organization that the course key names, in its new form and in its old one."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    rows = [{"student_key": "student-001", "status": "active", "course_staff": True}]
    assert write("POST", rows, lms.course(course)) == {"student-001": "active"}
    assert roles(lms) == ([[org, course, "staff", 1]], 0)
