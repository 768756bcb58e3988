"""Courses: the account of a linked key enters the master's track of the courses that waited."""

import pytest

from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, Printed, snapshot

type State = tuple[str, bool] | None

NO_COURSE = "course-v1:edX+Gone+2026"

# What the LMS has for the user and the course (mode, active), the program-course enrollment's status, what it becomes.
TABLE: list[tuple[State, str, State]] = [
    (None, "active", ("masters", True)),
    (None, "inactive", ("masters", False)),
    (("audit", True), "active", ("masters", True)),
    (("audit", True), "inactive", ("masters", False)),
    (("honor", True), "active", ("masters", True)),
    (("honor", True), "inactive", ("masters", False)),
    (("masters", True), "active", ("masters", True)),
    (("masters", True), "inactive", ("masters", False)),
    (("audit", False), "active", ("masters", True)),
    (("audit", False), "inactive", ("masters", False)),
    (("honor", False), "active", ("masters", True)),
    (("honor", False), "inactive", ("masters", False)),
    (("masters", False), "active", ("masters", True)),
    (("masters", False), "inactive", ("masters", False)),
    (("verified", False), "active", ("masters", True)),
    (("verified", False), "inactive", ("masters", False)),
    (("professional", False), "active", ("masters", True)),
    (("professional", False), "inactive", ("masters", False)),
    (("credit", False), "active", ("masters", True)),
    (("credit", False), "inactive", ("masters", False)),
    (("verified", True), "active", ("verified", True)),
    (("verified", True), "inactive", ("verified", True)),
    (("professional", True), "active", ("professional", True)),
    (("professional", True), "inactive", ("professional", True)),
    (("no-id-professional", True), "active", ("no-id-professional", True)),
    (("no-id-professional", True), "inactive", ("no-id-professional", True)),
    (("credit", True), "active", ("credit", True)),
    (("credit", True), "inactive", ("credit", True)),
    (("Masters", True), "active", ("Masters", True)),
    (("", True), "inactive", ("", True)),
]


@pytest.mark.parametrize(("now", "status", "becomes"), TABLE)
def test_track(lms: Lms, invoke: Invoke, now: State, status: str, becomes: State) -> None:
    """Each state of a course enrollment becomes what the contract says, and the program-course enrollment names it."""
    lms.user("somebody else")
    alice = lms.user("alice")
    if now:
        lms.course_enrollment(alice, DEMO_COURSE, now[0], is_active=now[1])
    lms.enrollment("student-001", {lms.course(): status})
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.run("""
        SELECT course_enrollment.mode, course_enrollment.is_active, course_enrollment.user_id,
            course_enrollment.course_id, course.status
        FROM program_enrollments_programcourseenrollment AS course
        JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course.course_enrollment_id
    """) == [[*(becomes or ()), alice, DEMO_COURSE, status]]
    assert len(lms.rows("student_courseenrollment")) == 1


@pytest.mark.parametrize("status", ["active", "inactive"])
@pytest.mark.parametrize("mode", ["verified", "professional", "credit"])
def test_kept_mode(lms: Lms, invoke: Invoke, printed: Printed, mode: str, status: str) -> None:
    """A course enrollment that keeps a mode of its own is logged as an ERROR, with the course and the mode."""
    course_enrollment_id = lms.course_enrollment(lms.user("alice"), DEMO_COURSE, mode)
    lms.enrollment("student-001", {lms.course(): status})
    invoke({"student-001": "alice"})
    [error] = [record for record in printed() if record.get("level") == "ERROR"]
    assert (error["message"], error["program_uuid"], error["details"]) == (
        "Course enrollments kept in their mode",
        PROGRAM,
        [{"course_enrollment_id": course_enrollment_id, "course_key": DEMO_COURSE, "mode": mode}],
    )


@pytest.mark.parametrize("mode", ["audit", "honor", "masters"])
def test_changed_mode_is_no_error(lms: Lms, invoke: Invoke, printed: Printed, mode: str) -> None:
    """A course enrollment that moves to the master's track, or is there, is no ERROR."""
    lms.course_enrollment(lms.user("alice"), DEMO_COURSE, mode)
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice"})
    assert [record for record in printed() if record.get("level") == "ERROR"] == []


def test_several_courses(lms: Lms, invoke: Invoke) -> None:
    """Each course of a key goes its own way."""
    alice = lms.user("alice")
    courses = {
        lms.course(f"course-v1:edX+{name}+2026"): status
        for name, status in {
            "New": "active",
            "Dropped": "inactive",
            "Audited": "active",
            "Verified": "inactive",
        }.items()
    }
    lms.course_enrollment(alice, "course-v1:edX+Audited+2026", "audit")
    lms.course_enrollment(alice, "course-v1:edX+Verified+2026", "verified")
    lms.enrollment("student-001", courses)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment", "course_id, mode, is_active, user_id") == [
        ["course-v1:edX+Audited+2026", "masters", True, alice],
        ["course-v1:edX+Dropped+2026", "masters", False, alice],
        ["course-v1:edX+New+2026", "masters", True, alice],
        ["course-v1:edX+Verified+2026", "verified", True, alice],
    ]


def test_others_untouched(lms: Lms, invoke: Invoke) -> None:
    """Nobody else's enrollment in the course changes, nor the user's in another course."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.course_enrollment(bob, DEMO_COURSE, "audit")
    lms.course_enrollment(alice, lms.course("course-v1:edX+Other+2026"), "honor")
    lms.enrollment("student-001", [lms.course()])
    lms.enrollment("student-002", [DEMO_COURSE])
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment", "user_id, course_id, mode, is_active") == [
        [alice, DEMO_COURSE, "masters", True],
        [alice, "course-v1:edX+Other+2026", "honor", True],
        [bob, DEMO_COURSE, "audit", True],
    ]


def test_missing_course(lms: Lms, invoke: Invoke) -> None:
    """A key with a course that the LMS does not know fails and leaves no trace, its other courses included."""
    alice = lms.user("alice")
    first, last = lms.course("course-v1:edX+First+2026"), lms.course("course-v1:edX+Last+2026")
    lms.course_enrollment(alice, first, "audit")
    lms.role_assignment(lms.enrollment("student-001", [first, NO_COURSE, last]), first)
    before = snapshot(lms)
    assert invoke({"student-001": "alice"}) == {
        "program_uuid": PROGRAM,
        "linked": 0,
        "errors": {"student-001": "NonExistentCourseError: course-v1:edX+Gone+2026"},
        "error_codes": {"student-001": "course-not-found"},
    }
    assert snapshot(lms) == before


def test_missing_course_of_another(lms: Lms, invoke: Invoke) -> None:
    """The keys around one that fails are linked."""
    users = [lms.user(username) for username in ("alice", "bob", "carol")]
    course = lms.course()
    for key, courses in {"first": [course], "second": [course, NO_COURSE], "third": [course]}.items():
        lms.enrollment(key, courses)
    answer = invoke({"first": "alice", "second": "bob", "third": "carol"})
    assert (answer["linked"], answer["error_codes"]) == (2, {"second": "course-not-found"})
    assert lms.rows("student_courseenrollment", "user_id") == [[users[0]], [users[2]]]


def test_first_missing_course_is_named(lms: Lms, invoke: Invoke) -> None:
    """Of several missing courses the first that the key was enrolled in is named."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course(), "z/Gone/1", "a/Gone/2"])
    assert invoke({"student-001": "alice"})["errors"] == {"student-001": "NonExistentCourseError: z/Gone/1"}


def test_missing_course_of_enrolled_user(lms: Lms, invoke: Invoke) -> None:
    """A course that is gone fails its key even where the user is still enrolled in it."""
    lms.course_enrollment(lms.user("alice"), NO_COURSE, "masters")
    lms.enrollment("student-001", [NO_COURSE])
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "course-not-found"}


@pytest.mark.parametrize(
    "course_key",
    [
        pytest.param("course-v1:edX+DemoX+2026_T1", id="new style"),
        pytest.param("edX/DemoX/2026_T1", id="old style"),
        pytest.param("course-v1:Ünï+課程+2026", id="unicode"),
        pytest.param("not a course key", id="opaque"),
        pytest.param("course-v1:o'rg+%s+$1\\", id="quoting"),
        pytest.param("course-v1:edX+" + "x" * 236 + "+2026", id="255 characters"),
    ],
)
def test_course_keys(lms: Lms, invoke: Invoke, course_key: str) -> None:
    """A course key is an opaque string."""
    alice = lms.user("alice")
    lms.enrollment("student-001", [lms.course(course_key)])
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment", "user_id, course_id") == [[alice, course_key]]


@pytest.mark.parametrize("gone", ["edX/Gone/2026", "course-v1:ünï+c+r", 'with "quotes"', "COURSE-V1:EDX+DEMOX+2026"])
def test_missing_course_key(lms: Lms, invoke: Invoke, gone: str) -> None:
    """The message has the course key as it is, and a course whose key differs in case is another one."""
    lms.user("alice")
    lms.course()
    lms.enrollment("student-001", [gone])
    assert invoke({"student-001": "alice"})["errors"] == {"student-001": f"NonExistentCourseError: {gone}"}


def test_one_course_of_many_users(lms: Lms, invoke: Invoke) -> None:
    """A whole cohort enters the same course at once."""
    course = lms.course()
    users = [lms.user(f"learner{number}") for number in range(30)]
    for number in range(30):
        lms.enrollment(f"student-{number}", [course])
    assert invoke({f"student-{number}": f"learner{number}" for number in range(30)})["linked"] == 30
    assert lms.rows("student_courseenrollment", "user_id, mode, is_active") == [
        [user, "masters", True] for user in users
    ]


def test_without_courses(lms: Lms, invoke: Invoke) -> None:
    """A key that waits for no course is linked, and enrolled in none."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("student_courseenrollment") == []
