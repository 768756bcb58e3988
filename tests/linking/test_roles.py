"""Course roles: pending ones become roles of the linked account."""

import pytest

from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, Printed, refuse

SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_COURSE = "course-v1:edX+Other+2026"


def roles(lms: Lms) -> list[list[object]]:
    """The course roles that there are."""
    return lms.run("SELECT user_id, org, course_id, role FROM student_courseaccessrole ORDER BY course_id, role")


def pending(lms: Lms) -> list[int]:
    """The assignments that still wait."""
    return [row[0] for row in lms.rows("program_enrollments_courseaccessroleassignment", "id")]


@pytest.mark.parametrize(
    ("course_key", "org"),
    [
        pytest.param("course-v1:edX+DemoX+2026", "edX", id="new style"),
        pytest.param("edX/DemoX/2026", "edX", id="old style"),
        pytest.param("course-v1:Org.With-Marks_1+a+b", "Org.With-Marks_1", id="marks"),
        pytest.param("course-v1:Größe+a+b", "Größe", id="unicode"),
        pytest.param("course-v1:" + "o" * 64 + "+a+b", "o" * 64, id="longest org"),
    ],
)
def test_role(lms: Lms, invoke: Invoke, course_key: str, org: str) -> None:
    """An assignment becomes a role in the course, with the course key's org, and is gone."""
    alice = lms.user("alice")
    lms.role_assignment(lms.enrollment("student-001", [lms.course(course_key)]), course_key, "staff")
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert roles(lms) == [[alice, org, course_key, "staff"]]
    assert pending(lms) == []


def test_several_roles(lms: Lms, invoke: Invoke) -> None:
    """Every assignment of every course of a key is granted, and nobody else's."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.course(OTHER_COURSE)
    first = lms.enrollment("student-001", [lms.course(), OTHER_COURSE])
    lms.role_assignment(first, DEMO_COURSE, "staff")
    lms.role_assignment(first, DEMO_COURSE, "instructor")
    lms.role_assignment(first, OTHER_COURSE, "beta_testers")
    lms.role_assignment(lms.enrollment("student-002", [DEMO_COURSE]), DEMO_COURSE, "staff")
    stays = lms.role_assignment(lms.enrollment("student-003", [DEMO_COURSE]), DEMO_COURSE, "staff")
    assert invoke({"student-001": "alice", "student-002": "bob"})["linked"] == 2
    assert roles(lms) == [
        [alice, "edX", DEMO_COURSE, "instructor"],
        *sorted([[alice, "edX", DEMO_COURSE, "staff"], [bob, "edX", DEMO_COURSE, "staff"]]),
        [alice, "edX", OTHER_COURSE, "beta_testers"],
    ]
    assert pending(lms) == [stays]


def test_role_already_there(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """A role that the user has already is not doubled, and the assignment is gone."""
    alice = lms.user("alice")
    lms.run(
        "INSERT INTO student_courseaccessrole (user_id, org, course_id, role) VALUES (:alice, 'edX', :course, 'staff')",
        alice=alice,
        course=DEMO_COURSE,
    )
    lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert roles(lms) == [[alice, "edX", DEMO_COURSE, "staff"]]
    assert pending(lms) == []
    assert [record for record in printed() if record.get("level") == "ERROR"] == []


def test_role_in_two_curricula(lms: Lms, invoke: Invoke) -> None:
    """One role that two enrollments of a key wait for is granted once."""
    alice = lms.user("alice")
    lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    lms.role_assignment(lms.enrollment("student-001", [DEMO_COURSE], curriculum=SECOND_CURRICULUM), DEMO_COURSE)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert roles(lms) == [[alice, "edX", DEMO_COURSE, "staff"]]
    assert pending(lms) == []


def test_inactive_account(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """An inactive account is linked and keeps its assignment, which is no error."""
    lms.user("alice", is_active=False)
    assignment = lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert roles(lms) == []
    assert pending(lms) == [assignment]
    assert lms.rows("student_courseenrollment", "mode, is_active") == [["masters", True]]
    assert [record for record in printed() if record.get("level") == "ERROR"] == []


@pytest.mark.parametrize(
    ("course_key", "sqlstate"),
    [
        pytest.param("not a course key", "23502", id="malformed course key"),
        pytest.param("course-v1:edX", "23502", id="half a course key"),
        pytest.param("a/b", "23502", id="half an old course key"),
        pytest.param("course-v1:" + "o" * 65 + "+a+b", "22001", id="org too long"),
    ],
)
def test_refused_role(lms: Lms, invoke: Invoke, printed: Printed, course_key: str, sqlstate: str) -> None:
    """A role that the database refuses is logged as an ERROR; the link stands and the assignment stays."""
    alice = lms.user("alice")
    assignment = lms.role_assignment(lms.enrollment("student-001", [lms.course(course_key)]), course_key)
    answer = invoke({"student-001": "alice"})
    assert (answer["linked"], answer["errors"]) == (1, {})
    assert lms.rows("program_enrollments_programenrollment", "user_id") == [[alice]]
    assert lms.rows("student_courseenrollment", "user_id, mode, is_active") == [[alice, "masters", True]]
    assert roles(lms) == []
    assert pending(lms) == [assignment]
    [error] = [record for record in printed() if record.get("level") == "ERROR"]
    assert (error["message"], error["program_uuid"]) == ("Course roles not granted", PROGRAM)
    assert [(detail["assignment_id"], detail["sqlstate"]) for detail in error["details"]] == [(assignment, sqlstate)]


def test_role_refused_by_constraint(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """The log names the constraint that refused a role."""
    lms.run("ALTER TABLE student_courseaccessrole ADD CONSTRAINT no_staff CHECK (role <> 'staff')")
    lms.user("alice")
    assignment = lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert pending(lms) == [assignment]
    [error] = [record for record in printed() if record.get("level") == "ERROR"]
    assert [(detail["sqlstate"], detail["constraint"]) for detail in error["details"]] == [("23514", "no_staff")]


def test_one_of_several_refused(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Of many roles the refused ones stay pending, and all others are granted."""
    lms.course()
    refuse(lms, "student_courseaccessrole", "NEW.role IN ('refused-3', 'refused-11')")
    users = {}
    for number in range(16):
        users[number] = lms.user(f"learner-{number}")
        role = f"refused-{number}" if number in {3, 11} else "staff"
        lms.role_assignment(lms.enrollment(f"student-{number}", [DEMO_COURSE]), DEMO_COURSE, role)
    answer = invoke({f"student-{number}": f"learner-{number}" for number in range(16)})
    assert (answer["linked"], answer["errors"]) == (16, {})
    assert roles(lms) == [[users[number], "edX", DEMO_COURSE, "staff"] for number in range(16) if number not in {3, 11}]
    assert lms.rows("program_enrollments_courseaccessroleassignment", "role") == [["refused-11"], ["refused-3"]]
    [error] = [record for record in printed() if record.get("level") == "ERROR"]
    assert [detail["sqlstate"] for detail in error["details"]] == ["P0001", "P0001"]


def test_refused_deletion(lms: Lms, invoke: Invoke) -> None:
    """A role is not granted where its assignment cannot be removed."""
    lms.run("""
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'kept'; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON program_enrollments_courseaccessroleassignment
        FOR EACH ROW EXECUTE FUNCTION keep()
    """)
    lms.user("alice")
    assignment = lms.role_assignment(lms.enrollment("student-001", [lms.course()]), DEMO_COURSE)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert (roles(lms), pending(lms)) == ([], [assignment])


def test_failed_key(lms: Lms, invoke: Invoke) -> None:
    """A key that fails keeps its assignments."""
    lms.user("alice")
    assignment = lms.role_assignment(
        lms.enrollment("student-001", [lms.course(), "course-v1:edX+Gone+2026"]), DEMO_COURSE
    )
    assert invoke({"student-001": "alice"})["linked"] == 0
    assert (roles(lms), pending(lms)) == ([], [assignment])


def test_linked_earlier(lms: Lms, invoke: Invoke) -> None:
    """An enrollment that is linked already keeps its assignment: only what this batch links is looked at."""
    assignment = lms.role_assignment(
        lms.enrollment("student-001", [lms.course()], user_id=lms.user("alice")), DEMO_COURSE
    )
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "already-linked"}
    assert (roles(lms), pending(lms)) == ([], [assignment])


def test_relinked(lms: Lms, invoke: Invoke) -> None:
    """A pending role of a relinked key goes to the new user."""
    alice = lms.user("alice")
    lms.role_assignment(lms.enrollment("student-001", [lms.course()], user_id=lms.user("bob")), DEMO_COURSE)
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert roles(lms) == [[alice, "edX", DEMO_COURSE, "staff"]]
