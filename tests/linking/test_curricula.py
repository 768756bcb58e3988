"""Several curricula: a key with more than one enrollment in the program."""

import pytest

from local.lms import DEMO_COURSE, Lms
from tests.support import Invoke, refuse, snapshot

FIRST = "c0ffee00-0000-4000-8000-000000000001"
SECOND = "c0ffee00-0000-4000-8000-000000000002"
THIRD = "c0ffee00-0000-4000-8000-000000000003"
CURRICULA = [FIRST, SECOND, THIRD]

ALREADY_LINKED = (
    "Program enrollment with external_student_key=student-001 is already linked to target account username=alice"
)
CONFLICT = "Program enrollment with external_student_key=student-001 is already linked to a different account username="
WAITING, ALICE, BOB, CAROL = None, "alice", "bob", "carol"


def enroll(lms: Lms, *holders: str | None) -> dict[str, int]:
    """Enroll a student in as many curricula as there are holders, in their order; return the users' ids."""
    users = {username: lms.user(username) for username in ("alice", "bob", "carol")}
    for curriculum, holder in zip(CURRICULA, holders, strict=False):
        lms.enrollment("student-001", user_id=users[holder] if holder else None, curriculum=curriculum)
    return users


def holders(lms: Lms) -> list[str | None]:
    """Who holds the student's enrollments, in the order in which they were made."""
    return [
        username
        for (username,) in lms.run("""
            SELECT username
            FROM program_enrollments_programenrollment AS enrollment
            LEFT JOIN auth_user ON auth_user.id = user_id
            ORDER BY enrollment.id
        """)
    ]


@pytest.mark.parametrize(
    "before",
    [
        (WAITING, WAITING),
        (WAITING, WAITING, WAITING),
        (ALICE, WAITING),
        (WAITING, ALICE),
        (ALICE, WAITING, WAITING),
        (WAITING, ALICE, WAITING),
        (WAITING, WAITING, ALICE),
        (ALICE, WAITING, ALICE),
    ],
)
def test_waiting_ones_are_linked(lms: Lms, invoke: Invoke, before: tuple[str | None, ...]) -> None:
    """Every waiting enrollment of a key is linked, beside those that the account holds already; it counts as one."""
    enroll(lms, *before)
    answer = invoke({"student-001": "alice"})
    assert (answer["linked"], answer["errors"]) == (1, {})
    assert holders(lms) == ["alice"] * len(before)
    # Only those that waited are changed.
    assert len(lms.rows("program_enrollments_historicalprogramenrollment")) == before.count(WAITING)


@pytest.mark.parametrize(
    ("before", "message", "code"),
    [
        ((ALICE,), ALREADY_LINKED, "already-linked"),
        ((ALICE, ALICE), ALREADY_LINKED, "already-linked"),
        ((ALICE, ALICE, ALICE), ALREADY_LINKED, "already-linked"),
        ((BOB, WAITING), CONFLICT + "bob", "conflict"),
        ((WAITING, BOB), CONFLICT + "bob", "conflict"),
        ((ALICE, BOB), CONFLICT + "bob", "conflict"),
        ((BOB, ALICE), CONFLICT + "bob", "conflict"),
        ((BOB, ALICE, WAITING), CONFLICT + "bob", "conflict"),
        ((ALICE, BOB, ALICE), CONFLICT + "bob", "conflict"),
        ((WAITING, WAITING, BOB), CONFLICT + "bob", "conflict"),
        # The user of the highest such enrollment id is named.
        ((BOB, CAROL), CONFLICT + "carol", "conflict"),
        ((CAROL, BOB), CONFLICT + "bob", "conflict"),
        ((CAROL, BOB, ALICE), CONFLICT + "bob", "conflict"),
        ((BOB, CAROL, WAITING), CONFLICT + "carol", "conflict"),
        ((BOB, WAITING, CAROL), CONFLICT + "carol", "conflict"),
    ],
)
def test_mixture_fails(lms: Lms, invoke: Invoke, before: tuple[str | None, ...], message: str, code: str) -> None:
    """All linked to the account is `already-linked`, any linked to another is a `conflict`, and nothing changes."""
    enroll(lms, *before)
    rows = snapshot(lms)
    answer = invoke({"student-001": "alice"})
    assert (answer["linked"], answer["errors"]) == (0, {"student-001": message})
    assert answer["error_codes"] == {"student-001": code}
    assert snapshot(lms) == rows


def test_courses_of_all_curricula(lms: Lms, invoke: Invoke) -> None:
    """The account enters the courses of every curriculum; a course of two is entered once, and both name it."""
    alice = lms.user("alice")
    other = lms.course("course-v1:edX+Other+2026")
    lms.enrollment("student-001", [lms.course()], curriculum=FIRST)
    lms.enrollment("student-001", [DEMO_COURSE, other], curriculum=SECOND)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment", "user_id, course_id, mode, is_active") == [
        [alice, DEMO_COURSE, "masters", True],
        [alice, other, "masters", True],
    ]
    assert lms.run("""
        SELECT course_key, course_enrollment.course_id
        FROM program_enrollments_programcourseenrollment
        JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course_enrollment_id
        ORDER BY 1
    """) == [[DEMO_COURSE, DEMO_COURSE], [DEMO_COURSE, DEMO_COURSE], [other, other]]


@pytest.mark.parametrize(
    ("statuses", "is_active"),
    [
        (("active", "active"), True),
        (("active", "inactive"), False),
        (("inactive", "active"), True),
        (("inactive", "inactive"), False),
    ],
)
def test_course_of_two_curricula(lms: Lms, invoke: Invoke, statuses: tuple[str, str], *, is_active: bool) -> None:
    """A course that a key waits for twice ends as the later enrollment says."""
    lms.user("alice")
    lms.course()
    for curriculum, status in zip(CURRICULA, statuses, strict=False):
        lms.enrollment("student-001", {DEMO_COURSE: status}, curriculum=curriculum)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment", "mode, is_active") == [["masters", is_active]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_savepoint(lms: Lms, invoke: Invoke, place: int) -> None:
    """Where one of the enrollments cannot be linked, none of the key is."""
    lms.user("alice")
    lms.course()
    for number, curriculum in enumerate(CURRICULA):
        courses = ["course-v1:edX+Gone+2026"] if number == place else [DEMO_COURSE]
        lms.enrollment("student-001", courses, curriculum=curriculum)
    before = snapshot(lms)
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "course-not-found"}
    assert snapshot(lms) == before


def test_taken_in_one_curriculum(lms: Lms, invoke: Invoke) -> None:
    """An account that holds another key in one of the curricula gets none of this key's enrollments."""
    lms.enrollment("student-002", user_id=lms.user("alice"), curriculum=SECOND)
    for curriculum in CURRICULA:
        lms.enrollment("student-001", curriculum=curriculum)
    before = snapshot(lms)
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "integrity-error"}
    assert snapshot(lms) == before
    assert invoke({"student-001": "alice"}, curriculum_uuid=THIRD)["linked"] == 1


def test_refused_in_one_curriculum(lms: Lms, invoke: Invoke) -> None:
    """A constraint that refuses one of the enrollments refuses the key."""
    enroll(lms, WAITING, WAITING)
    refuse(lms, "program_enrollments_programenrollment", f"NEW.curriculum_uuid = '{SECOND}'")
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "integrity-error"}
    assert holders(lms) == [None, None]


def test_curriculum_uuid(lms: Lms, invoke: Invoke) -> None:
    """Only enrollments of the curriculum asked for are linked."""
    enroll(lms, WAITING, WAITING, WAITING)
    assert invoke({"student-001": "alice"}, curriculum_uuid=SECOND)["linked"] == 1
    assert holders(lms) == [None, "alice", None]


@pytest.mark.parametrize(
    ("before", "code", "after"),
    [
        ((BOB, WAITING), None, [BOB, ALICE]),
        ((WAITING, ALICE), "already-linked", [WAITING, ALICE]),
        ((WAITING, BOB), "conflict", [WAITING, BOB]),
        ((ALICE,), "not-in-program", [ALICE]),
        ((WAITING,), "not-in-program", [WAITING]),
    ],
)
def test_checks_in_curriculum(
    lms: Lms, invoke: Invoke, before: tuple[str | None, ...], code: str | None, after: list[str | None]
) -> None:
    """With a curriculum asked for, the checks look only at its enrollment."""
    enroll(lms, *before)
    answer = invoke({"student-001": "alice"}, curriculum_uuid=SECOND)
    assert answer["error_codes"] == ({"student-001": code} if code else {})
    assert holders(lms) == after


def test_message_of_curriculum(lms: Lms, invoke: Invoke) -> None:
    """The message for a key that is not in the curriculum names the program."""
    lms.user("alice")
    lms.enrollment("student-001", curriculum=FIRST)
    assert invoke({"student-001": "alice"}, curriculum_uuid=SECOND)["errors"] == {
        "student-001": "No program enrollment found for program uuid=5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"
        " and external student key=student-001"
    }
