"""Constraints: the server refuses a write, and only its key fails."""

import random

import pytest

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, Printed, refuse, snapshot

TAKEN = (
    "IntegrityError: duplicate key value violates unique constraint"
    ' "program_enrollments_prog_user_id_program_uuid_cur_ecf769fd_uniq"'
)
NO_COURSE = "course-v1:edX+Gone+2026"
OTHER_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"


def holders(lms: Lms) -> dict[str, str | None]:
    """Who holds which key."""
    return dict(
        lms.run("""
            SELECT external_user_key, username
            FROM program_enrollments_programenrollment AS enrollment
            LEFT JOIN auth_user ON auth_user.id = user_id
        """)
    )


def test_taken(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """A user who holds another key of the program fails; the answer names the constraint, the log the ids."""
    alice = lms.user("alice")
    lms.enrollment("student-001", user_id=alice)
    lms.enrollment("student-002", [lms.course()])
    before = snapshot(lms)
    assert invoke({"student-002": "alice"}) == {
        "program_uuid": PROGRAM,
        "linked": 0,
        "errors": {"student-002": TAKEN},
        "error_codes": {"student-002": "integrity-error"},
    }
    assert snapshot(lms) == before
    [record] = [record for record in printed() if record.get("message") == "Keys rolled back"]
    assert record["details"] == [
        {
            "sqlstate": "23505",
            "constraint": "program_enrollments_prog_user_id_program_uuid_cur_ecf769fd_uniq",
            "detail": f"Key (user_id, program_uuid, curriculum_uuid)=({alice}, {PROGRAM},"
            " c0ffee00-0000-4000-8000-000000000001) already exists.",
        }
    ]


def test_missing_course_of_a_user_sent_twice(lms: Lms, invoke: Invoke) -> None:
    """A second key of the same user, whose constraint is free, fails for its missing course."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.enrollment("student-002", [NO_COURSE], curriculum=OTHER_CURRICULUM)
    answer = invoke({"student-001": "alice", "student-002": "alice"})
    assert (answer["linked"], answer["errors"], answer["error_codes"]) == (
        1,
        {"student-002": "NonExistentCourseError: course-v1:edX+Gone+2026"},
        {"student-002": "course-not-found"},
    )


def test_taken_before_missing_course(lms: Lms, invoke: Invoke) -> None:
    """The first refusal counts: a taken user is met before a missing course."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    lms.enrollment("student-002", [NO_COURSE])
    assert invoke({"student-002": "alice"})["errors"] == {"student-002": TAKEN}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"program": OTHER_PROGRAM}, id="another program"),
        pytest.param({"curriculum": OTHER_CURRICULUM}, id="another curriculum"),
    ],
)
def test_taken_elsewhere(lms: Lms, invoke: Invoke, place: dict[str, str]) -> None:
    """A key that the user holds in another program or curriculum is in nobody's way."""
    lms.enrollment("student-001", user_id=lms.user("alice"), **place)
    lms.enrollment("student-002")
    assert invoke({"student-002": "alice"})["linked"] == 1


def test_same_user_twice(lms: Lms, invoke: Invoke) -> None:
    """Of two keys for one user the first in the request is linked, and the second fails."""
    lms.user("alice")
    lms.enrollment("a", [lms.course()])
    lms.enrollment("b", [DEMO_COURSE])
    answer = invoke({"b": "alice", "a": "alice"})
    assert (answer["linked"], answer["errors"]) == (1, {"a": TAKEN})
    assert holders(lms) == {"a": None, "b": "alice"}
    assert len(lms.rows("student_courseenrollment")) == 1


def test_same_user_many_times(lms: Lms, invoke: Invoke) -> None:
    """Of many keys for one user the first in the request is linked, wherever the others stand."""
    lms.user("alice")
    lms.user("bob")
    for key in "abcdef":
        lms.enrollment(key)
    answer = invoke({"f": "alice", "a": "bob", "e": "alice", "b": "bob", "d": "alice"})
    assert (answer["linked"], answer["errors"]) == (2, {"e": TAKEN, "b": TAKEN, "d": TAKEN})
    assert holders(lms) == {"a": "bob", "b": None, "c": None, "d": None, "e": None, "f": "alice"}


@pytest.mark.parametrize(
    ("first", "code"),
    [
        pytest.param("not in the program", "not-in-program", id="a check"),
        pytest.param("without course", "course-not-found", id="a missing course"),
        pytest.param("refused", "integrity-error", id="a constraint"),
        pytest.param("somebody else's", "conflict", id="a conflict"),
    ],
)
def test_second_links_where_first_fails(lms: Lms, invoke: Invoke, first: str, code: str) -> None:
    """Where the first key of a user fails for its own reason, the second one links."""
    lms.user("alice")
    lms.enrollment("somebody else's", user_id=lms.user("bob"))
    lms.enrollment("without course", [lms.course(), NO_COURSE])
    lms.enrollment("refused", [DEMO_COURSE])
    refuse(lms, "program_enrollments_programenrollment", "NEW.external_user_key = 'refused' AND NEW.user_id > 0")
    lms.enrollment("second", [DEMO_COURSE])
    lms.enrollment("third", [DEMO_COURSE])
    answer = invoke({first: "alice", "second": "alice", "third": "alice"})
    assert (answer["linked"], answer["error_codes"]) == (1, {first: code, "third": "integrity-error"})
    assert holders(lms)["second"] == "alice"
    assert lms.rows("student_courseenrollment", "mode, is_active") == [["masters", True]]


def test_first_of_two_wins_whatever_stands_between(lms: Lms, invoke: Invoke) -> None:
    """Of two keys for one place of a user the first one sent gets it, also where other keys depend on each other."""
    for username in ("alice", "carol"):
        lms.user(username)
    keys = {"student-001": "alice", "student-002": "alice", "student-003": "carol", "student-004": "carol"}
    for number, key in enumerate(keys):
        lms.enrollment(key, curriculum=(CURRICULUM, OTHER_CURRICULUM)[number % 2])
    lms.enrollment("student-005", curriculum=OTHER_CURRICULUM)
    assert invoke(keys | {"student-005": "alice"})["errors"] == {"student-005": TAKEN}
    assert holders(lms) == keys | {"student-005": None}


def test_same_user_in_two_curricula(lms: Lms, invoke: Invoke) -> None:
    """Two keys of one user in two curricula both link, and a course of both is entered once."""
    alice = lms.user("alice")
    lms.enrollment("a", [lms.course()])
    lms.enrollment("b", [DEMO_COURSE], curriculum=OTHER_CURRICULUM)
    assert invoke({"a": "alice", "b": "alice"})["linked"] == 2
    assert lms.rows("student_courseenrollment", "user_id, mode, is_active") == [[alice, "masters", True]]
    assert len({row[0] for row in lms.rows("program_enrollments_programcourseenrollment", "course_enrollment_id")}) == 1


@pytest.mark.parametrize(("last", "is_active"), [("active", True), ("inactive", False)])
def test_keys_take_effect_in_order(lms: Lms, invoke: Invoke, last: str, *, is_active: bool) -> None:
    """What the last key says of a course that two keys of one user share is what remains."""
    first = {"active": "inactive", "inactive": "active"}[last]
    lms.user("alice")
    lms.enrollment("b", {lms.course(): last}, curriculum=OTHER_CURRICULUM)
    lms.enrollment("a", {DEMO_COURSE: first})
    assert invoke({"a": "alice", "b": "alice"})["linked"] == 2
    assert lms.rows("student_courseenrollment", "mode, is_active") == [["masters", is_active]]


@pytest.mark.parametrize(
    ("table", "condition", "message"),
    [
        pytest.param(
            "program_enrollments_programenrollment",
            "user_id IS NULL OR external_user_key <> 'student-07'",
            'IntegrityError: new row for relation "program_enrollments_programenrollment" violates check constraint'
            ' "refused"',
            id="program enrollment",
        ),
        pytest.param(
            "student_courseenrollment",
            "user_id <> 7",
            'IntegrityError: new row for relation "student_courseenrollment" violates check constraint "refused"',
            id="course enrollment",
        ),
        pytest.param(
            "program_enrollments_programcourseenrollment",
            "course_enrollment_id IS NULL OR id <> 7",
            'IntegrityError: new row for relation "program_enrollments_programcourseenrollment" violates check'
            ' constraint "refused"',
            id="program-course enrollment",
        ),
        pytest.param(
            "program_enrollments_historicalprogramenrollment",
            "external_user_key <> 'student-07'",
            'IntegrityError: new row for relation "program_enrollments_historicalprogramenrollment" violates check'
            ' constraint "refused"',
            id="history",
        ),
    ],
)
def test_check_constraint(lms: Lms, invoke: Invoke, table: str, condition: str, message: str) -> None:
    """A constraint on any table fails the one key that it refuses; the others link."""
    lms.run(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK ({condition})")
    lms.course()
    for number in range(1, 13):
        lms.user(f"learner-{number:02}")
        lms.enrollment(f"student-{number:02}", [DEMO_COURSE])
    answer = invoke({f"student-{number:02}": f"learner-{number:02}" for number in range(1, 13)})
    assert (answer["linked"], answer["errors"]) == (11, {"student-07": message})
    assert holders(lms) == {
        f"student-{number:02}": None if number == 7 else f"learner-{number:02}" for number in range(1, 13)
    }
    assert len(lms.rows("student_courseenrollment")) == 11
    assert len(lms.rows("program_enrollments_historicalprogramenrollment")) == 11


@pytest.mark.parametrize("seed", range(4))
def test_several_refused(lms: Lms, invoke: Invoke, seed: int) -> None:
    """Three keys of fifty that a trigger refuses fail, wherever they stand, and the others link."""
    numbers = list(range(50))
    random.Random(seed).shuffle(numbers)  # noqa: S311 - no secret
    refused = {f"student-{number}" for number in numbers[:3]}
    lms.course()
    for number in numbers:
        lms.user(f"learner-{number}")
        lms.enrollment(f"student-{number}", [DEMO_COURSE])
    names = ", ".join(f"'{key}'" for key in sorted(refused))
    refuse(lms, "program_enrollments_programenrollment", f"NEW.external_user_key IN ({names})")
    answer = invoke({f"student-{number}": f"learner-{number}" for number in range(50)})
    assert answer["linked"] == 47
    assert answer["errors"] == dict.fromkeys(refused, "IntegrityError: refused by a trigger")
    assert list(answer["errors"]) == sorted(refused, key=lambda key: int(key.removeprefix("student-")))
    assert {key for key, holder in holders(lms).items() if holder is None} == refused
    assert len(lms.rows("student_courseenrollment")) == 47


def test_all_refused(lms: Lms, invoke: Invoke) -> None:
    """Where every key is refused, nothing at all changes."""
    for number in range(5):
        lms.user(f"learner-{number}")
        lms.enrollment(f"student-{number}", [lms.course(f"a/b/{number}")])
    refuse(lms, "student_courseenrollment", "true")
    before = snapshot(lms)
    assert invoke({f"student-{number}": f"learner-{number}" for number in range(5)})["linked"] == 0
    assert snapshot(lms) == before


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        pytest.param("first line\nsecond line", "IntegrityError: first line", id="several lines"),
        pytest.param("", "IntegrityError: ", id="empty"),
        pytest.param("\nsecond line", "IntegrityError: ", id="empty line"),
        pytest.param("Größe: 100 %%", "IntegrityError: Größe: 100 %", id="unicode"),
    ],
)
def test_message_is_one_line(lms: Lms, invoke: Invoke, raised: str, message: str) -> None:
    """The message is the first line of the server's."""
    lms.user("alice")
    lms.enrollment("student-001")
    refuse(lms, "program_enrollments_programenrollment", "true", raised)
    assert invoke({"student-001": "alice"})["errors"] == {"student-001": message}


def test_value_too_long(lms: Lms, invoke: Invoke) -> None:
    """A value that a column refuses fails its key like a constraint."""
    lms.run("ALTER TABLE student_courseenrollment ALTER course_id TYPE varchar(20)")
    lms.user("alice")
    lms.enrollment("long", [lms.course("edX/A-course-with-a-long-name/2026")])
    lms.user("bob")
    lms.enrollment("short", [lms.course("edX/short/2026")])
    answer = invoke({"long": "alice", "short": "bob"})
    assert (answer["linked"], answer["errors"]) == (
        1,
        {"long": "IntegrityError: value too long for type character varying(20)"},
    )


def test_deferred_constraint(lms: Lms, invoke: Invoke) -> None:
    """A constraint that waits for COMMIT elsewhere fails its key here, and not the batch."""
    lms.user("alice")
    lms.user("bob")
    lms.enrollment("student-001")
    lms.enrollment("student-002")
    lms.run("""
        CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused late' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'late';
        END $$;
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON program_enrollments_programenrollment
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.external_user_key = 'student-001') EXECUTE FUNCTION refuse_late()
    """)
    answer = invoke({"student-001": "alice", "student-002": "bob"})
    assert (answer["linked"], answer["errors"]) == (1, {"student-001": "IntegrityError: refused late"})
