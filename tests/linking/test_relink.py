"""Relinking: an enrollment is taken from the account that holds it."""

import pytest

from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, snapshot

TAKEN = (
    "IntegrityError: duplicate key value violates unique constraint"
    ' "program_enrollments_prog_user_id_program_uuid_cur_ecf769fd_uniq"'
)
PAST, FUTURE = "2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"
SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"


def holders(lms: Lms) -> list[tuple[str, str | None]]:
    """Who holds which key, in the order in which the enrollments were made."""
    return [
        (key, username)
        for key, username in lms.run("""
            SELECT external_user_key, username
            FROM program_enrollments_programenrollment AS enrollment
            LEFT JOIN auth_user ON auth_user.id = user_id
            ORDER BY enrollment.id
        """)
    ]


def tracks(lms: Lms) -> list[tuple[str, str, bool]]:
    """Who is enrolled, in which mode, and whether actively, in the order in which they came."""
    return [
        (username, mode, is_active)
        for username, mode, is_active in lms.run("""
            SELECT username, mode, course_enrollment.is_active
            FROM student_courseenrollment AS course_enrollment
            JOIN auth_user ON auth_user.id = user_id
            ORDER BY course_enrollment.id
        """)
    ]


def link_to_bob(lms: Lms, invoke: Invoke, modes: dict[str, str | None] | None = None) -> None:
    """Link student-001 to bob, in the one course; alice is there too."""
    lms.user("bob")
    lms.user("alice")
    lms.enrollment("student-001", [lms.course(modes=modes)])
    assert invoke({"student-001": "bob"})["linked"] == 1


@pytest.mark.parametrize(
    ("modes", "left_in"),
    [
        pytest.param({"audit": None, "masters": None}, "audit", id="audit offered"),
        pytest.param({"audit": FUTURE, "masters": None}, "audit", id="audit not expired yet"),
        pytest.param({"audit": PAST, "masters": None}, "masters", id="audit expired"),
        pytest.param({"masters": None}, "masters", id="masters-only course"),
        pytest.param({"masters": PAST}, "audit", id="nothing but an expired mode"),
        pytest.param({"credit": None}, "audit", id="nothing but credit"),
        pytest.param({"credit": None, "masters": PAST}, "audit", id="nothing but credit and an expired mode"),
        pytest.param({"credit": None, "masters": None}, "masters", id="credit beside another mode"),
        pytest.param({"honor": None, "verified": None}, "masters", id="other modes"),
        pytest.param({"Audit": None}, "masters", id="another spelling"),
        pytest.param({}, "audit", id="no mode rows"),
    ],
)
def test_unlinked_course(lms: Lms, invoke: Invoke, modes: dict[str, str | None], left_in: str) -> None:
    """The old user leaves the course, for audit where the course offers it; the new one enters the master's track."""
    link_to_bob(lms, invoke, modes)
    assert invoke({"student-001": "alice"}, relink=True) == {
        "program_uuid": PROGRAM,
        "linked": 1,
        "errors": {},
        "error_codes": {},
    }
    assert holders(lms) == [("student-001", "alice")]
    assert tracks(lms) == [("bob", left_in, False), ("alice", "masters", True)]
    assert lms.run("""
        SELECT username
        FROM program_enrollments_programcourseenrollment
        JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course_enrollment_id
        JOIN auth_user ON auth_user.id = user_id
    """) == [["alice"]]


@pytest.mark.parametrize(
    ("mode", "modes", "left_in"),
    [
        ("verified", {"audit": None}, "audit"),
        ("verified", {"verified": None}, "verified"),
        ("credit", {}, "audit"),
        ("audit", {"audit": None}, "audit"),
        ("honor", {"masters": None}, "honor"),
    ],
)
@pytest.mark.parametrize("is_active", [True, False])
def test_unlinked_mode(  # noqa: PLR0913 - a row of the table
    lms: Lms, invoke: Invoke, mode: str, modes: dict[str, str | None], left_in: str, *, is_active: bool
) -> None:
    """Whatever the old user's course enrollment is, it ends inactive, and in audit where the course offers it."""
    link_to_bob(lms, invoke, modes)
    lms.run("UPDATE student_courseenrollment SET mode = :mode, is_active = :is_active", mode=mode, is_active=is_active)
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert tracks(lms) == [("bob", left_in, False), ("alice", "masters", True)]


def test_modes_of_the_course_itself(lms: Lms, invoke: Invoke) -> None:
    """The modes of another course do not count."""
    link_to_bob(lms, invoke, {"masters": None})
    lms.course("course-v1:edX+Other+2026", {"audit": None})
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert tracks(lms)[0] == ("bob", "masters", False)


def test_never_enrolled(lms: Lms, invoke: Invoke) -> None:
    """A program-course enrollment that never got its course enrollment is no error."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()], user_id=lms.user("bob"))
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert holders(lms) == [("student-001", "alice")]
    assert tracks(lms) == [("alice", "masters", True)]


def test_course_enrollment_of_old_user_alone(lms: Lms, invoke: Invoke) -> None:
    """The old user's course enrollments that belong to no program-course enrollment stay as they are."""
    link_to_bob(lms, invoke)
    bob = lms.run("SELECT id FROM auth_user WHERE username = 'bob'")[0][0]
    lms.course_enrollment(bob, lms.course("course-v1:edX+Other+2026"), "verified")
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert tracks(lms) == [("bob", "audit", False), ("bob", "verified", True), ("alice", "masters", True)]


def test_back_to_first_user(lms: Lms, invoke: Invoke) -> None:
    """Relinked back, the first user is in the master's track again, and the second has left it."""
    link_to_bob(lms, invoke, {"audit": None})
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert invoke({"student-001": "bob"}, relink=True)["linked"] == 1
    assert holders(lms) == [("student-001", "bob")]
    assert tracks(lms) == [("bob", "masters", True), ("alice", "audit", False)]


def test_onto_holder(lms: Lms, invoke: Invoke) -> None:
    """Relinked onto a user who holds the program under another key, the key fails and the old link stays."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-002", [DEMO_COURSE])
    assert invoke({"student-002": "alice"})["linked"] == 1
    before = snapshot(lms)
    answer = invoke({"student-001": "alice"}, relink=True)
    assert (answer["linked"], answer["errors"]) == (0, {"student-001": TAKEN})
    assert snapshot(lms) == before


@pytest.mark.parametrize("keys", [("student-001", "student-002"), ("student-002", "student-001")])
def test_swapped_users(lms: Lms, invoke: Invoke, keys: tuple[str, str]) -> None:
    """Two users swapped in one batch: keys take effect in request order, so that both fail and both links stay."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-002", [DEMO_COURSE])
    assert invoke({"student-002": "alice"})["linked"] == 1
    before = snapshot(lms)
    users = {"student-001": "alice", "student-002": "bob"}
    answer = invoke({key: users[key] for key in keys}, relink=True)
    assert (answer["linked"], list(answer["errors"].items())) == (0, [(key, TAKEN) for key in keys])
    assert snapshot(lms) == before


def test_freed_user(lms: Lms, invoke: Invoke) -> None:
    """A user whom one key of the batch sets free is linked by a later one."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-002", [DEMO_COURSE])
    answer = invoke({"student-001": "alice", "student-002": "bob"}, relink=True)
    assert (answer["linked"], answer["errors"]) == (2, {})
    assert holders(lms) == [("student-001", "alice"), ("student-002", "bob")]
    assert tracks(lms) == [("bob", "masters", True), ("alice", "masters", True)]


def test_user_freed_too_late(lms: Lms, invoke: Invoke) -> None:
    """A user whom a later key of the batch sets free is still taken for an earlier one."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-002", [DEMO_COURSE])
    answer = invoke({"student-002": "bob", "student-001": "alice"}, relink=True)
    assert (answer["linked"], answer["errors"]) == (1, {"student-002": TAKEN})
    assert holders(lms) == [("student-001", "alice"), ("student-002", None)]
    assert tracks(lms) == [("bob", "audit", False), ("alice", "masters", True)]


def test_three_in_a_ring(lms: Lms, invoke: Invoke) -> None:
    """A free user starts a chain in which each key takes the user whom the one before set free."""
    for number in range(4):
        lms.user(f"user-{number}")
    lms.course()
    for number in range(3):
        lms.enrollment(f"student-{number}", [DEMO_COURSE])
    invoke({f"student-{number}": f"user-{number}" for number in range(3)})
    answer = invoke({"student-2": "user-3", "student-1": "user-2", "student-0": "user-1"}, relink=True)
    assert (answer["linked"], answer["errors"]) == (3, {})
    assert holders(lms) == [("student-0", "user-1"), ("student-1", "user-2"), ("student-2", "user-3")]
    assert tracks(lms) == [
        ("user-0", "audit", False),
        ("user-1", "masters", True),
        ("user-2", "masters", True),
        ("user-3", "masters", True),
    ]


def test_missing_course(lms: Lms, invoke: Invoke) -> None:
    """Where a course is gone, the key fails and the old link stays, the old user's course enrollments included."""
    link_to_bob(lms, invoke)
    lms.run("DELETE FROM course_overviews_courseoverview")
    before = snapshot(lms)
    assert invoke({"student-001": "alice"}, relink=True)["error_codes"] == {"student-001": "course-not-found"}
    assert snapshot(lms) == before


@pytest.mark.parametrize(
    ("username", "code"),
    [
        pytest.param("bob", "already-linked", id="to the same user"),
        pytest.param("nobody", "user-not-found", id="to nobody"),
    ],
)
def test_checks_stand(lms: Lms, invoke: Invoke, username: str, code: str) -> None:
    """Relinking changes no check but the conflict."""
    link_to_bob(lms, invoke)
    before = snapshot(lms)
    assert invoke({"student-001": username}, relink=True)["error_codes"] == {"student-001": code}
    assert snapshot(lms) == before


def test_waiting_key(lms: Lms, invoke: Invoke) -> None:
    """A waiting key is linked as without the option."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert tracks(lms) == [("alice", "masters", True)]


@pytest.mark.parametrize("options", [{}, {"relink": False}])
def test_not_asked_for(lms: Lms, invoke: Invoke, options: dict[str, object]) -> None:
    """Without the option, an enrollment of another account is a conflict."""
    link_to_bob(lms, invoke)
    before = snapshot(lms)
    assert invoke({"student-001": "alice"}, **options)["error_codes"] == {"student-001": "conflict"}
    assert snapshot(lms) == before


def test_several_curricula(lms: Lms, invoke: Invoke) -> None:
    """Of a key's enrollments each that the account does not hold is taken or linked, all in one."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-001", [DEMO_COURSE], curriculum=SECOND_CURRICULUM)
    answer = invoke({"student-001": "alice"}, relink=True)
    assert (answer["linked"], answer["errors"]) == (1, {})
    assert holders(lms) == [("student-001", "alice"), ("student-001", "alice")]
    assert tracks(lms) == [("bob", "audit", False), ("alice", "masters", True)]


def test_one_curriculum(lms: Lms, invoke: Invoke) -> None:
    """With a curriculum asked for, the enrollments of the others keep their user."""
    link_to_bob(lms, invoke)
    lms.enrollment("student-001", curriculum=SECOND_CURRICULUM)
    assert invoke({"student-001": "bob"})["linked"] == 1
    assert invoke({"student-001": "alice"}, relink=True, curriculum_uuid=SECOND_CURRICULUM)["linked"] == 1
    assert holders(lms) == [("student-001", "bob"), ("student-001", "alice")]
    assert tracks(lms) == [("bob", "masters", True)]


def test_verified_new_user(lms: Lms, invoke: Invoke) -> None:
    """The new user's own active enrollment in another mode is kept, as in a plain link."""
    link_to_bob(lms, invoke)
    alice = lms.run("SELECT id FROM auth_user WHERE username = 'alice'")[0][0]
    lms.course_enrollment(alice, DEMO_COURSE, "verified")
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert tracks(lms) == [("bob", "audit", False), ("alice", "verified", True)]


def test_many(lms: Lms, invoke: Invoke) -> None:
    """A whole cohort is relinked at once, and only the key that cannot be is reported."""
    lms.course(modes={"audit": None})
    for number in range(20):
        lms.user(f"old-{number}")
        lms.user(f"new-{number}")
        lms.enrollment(f"student-{number}", [DEMO_COURSE])
    lms.enrollment("taken", user_id=lms.run("SELECT id FROM auth_user WHERE username = 'new-7'")[0][0])
    invoke({f"student-{number}": f"old-{number}" for number in range(20)})
    answer = invoke({f"student-{number}": f"new-{number}" for number in range(20)}, relink=True)
    assert (answer["linked"], answer["errors"]) == (19, {"student-7": TAKEN})
    assert dict(holders(lms)) == {
        **{f"student-{number}": f"new-{number}" for number in range(20)},
        "student-7": "old-7",
        "taken": "new-7",
    }
    assert sorted(tracks(lms)) == sorted(
        [(f"old-{number}", "audit", False) for number in range(20) if number != 7]
        + [("old-7", "masters", True)]
        + [(f"new-{number}", "masters", True) for number in range(20) if number != 7]
    )


def test_history(lms: Lms, invoke: Invoke) -> None:
    """Relinking leaves history of what it changed: both course enrollments, the enrollment and its course."""
    link_to_bob(lms, invoke, {"audit": None})
    for table in (
        "student_courseenrollment_history",
        "program_enrollments_historicalprogramenrollment",
        "program_enrollments_historicalprogramcourseenrollment",
    ):
        lms.run(f"DELETE FROM {table}")
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    bob, alice = (row[0] for row in lms.rows("auth_user", "id"))
    bobs, alices = (row[0] for row in lms.rows("student_courseenrollment", "id"))
    assert lms.run("""
        SELECT id, user_id, mode, is_active, history_type, history_user_id
        FROM student_courseenrollment_history ORDER BY history_date
    """) == [[bobs, bob, "audit", False, "~", None], [alices, alice, "masters", True, "+", None]]
    assert lms.rows("program_enrollments_historicalprogramenrollment", "user_id, history_type") == [[alice, "~"]]
    assert lms.rows("program_enrollments_historicalprogramcourseenrollment", "course_enrollment_id, history_type") == [
        [alices, "~"]
    ]


def test_history_of_unchanged(lms: Lms, invoke: Invoke) -> None:
    """An old course enrollment that is inactive and in its mode already gets no history."""
    link_to_bob(lms, invoke, {"masters": None})
    lms.run("UPDATE student_courseenrollment SET is_active = false")
    lms.run("DELETE FROM student_courseenrollment_history")
    assert invoke({"student-001": "alice"}, relink=True)["linked"] == 1
    assert lms.rows("student_courseenrollment_history", "mode, history_type") == [["masters", "+"]]
