"""The verdicts on rows, from what was read and nothing else: no database is here."""

import pytest

from program_enrollments.enrolling.decisions import (
    Course,
    CourseWrite,
    Enrollment,
    ProgramWrite,
    Reading,
    plan_course,
    plan_program,
)
from program_enrollments.enrolling.rows import ActiveElsewhere, CourseRow, ProgramRow, Verdict

ONE, TWO = "c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"
WAITING = Enrollment(1, "k", ONE, "enrolled", None)
LINKED = Enrollment(2, "k", TWO, "pending", 7)
CREATE, UPDATE, EITHER = (True, False), (False, True), (True, True)


@pytest.mark.parametrize(
    ("way", "row", "stored", "status"),
    [
        (CREATE, ProgramRow("k", "ended", ONE), [], "ended"),
        (CREATE, ProgramRow("k", "ended", ONE), [WAITING], Verdict.CONFLICT),
        (CREATE, ProgramRow("k", "ended", TWO), [WAITING], "ended"),
        (CREATE, ProgramRow("K", "ended", ONE), [WAITING], Verdict.CONFLICT),
        (CREATE, ProgramRow("k", "gone", ONE), [WAITING], Verdict.INVALID_STATUS),
        (CREATE, ProgramRow("k", "active", ONE), [], Verdict.INVALID_STATUS),
        (CREATE, ProgramRow("k", "Enrolled", ONE), [], Verdict.INVALID_STATUS),
        (UPDATE, ProgramRow("k", "ended", ONE), [], Verdict.NOT_IN_PROGRAM),
        (UPDATE, ProgramRow("k", "ended", TWO), [WAITING], Verdict.NOT_IN_PROGRAM),
        (UPDATE, ProgramRow("k", "gone", ONE), [], Verdict.INVALID_STATUS),
        (UPDATE, ProgramRow("k", "ended", ONE), [WAITING], "ended"),
        (UPDATE, ProgramRow("K", "ended"), [WAITING, LINKED], "ended"),
        (EITHER, ProgramRow("k", "ended", ONE), [], "ended"),
        (EITHER, ProgramRow("k", "ended", ONE), [WAITING], "ended"),
    ],
)
def test_program_status(way: tuple[bool, bool], row: ProgramRow, stored: list[Enrollment], status: str) -> None:
    """A row of a program has the first verdict that applies, or the status that was asked for."""
    plan = plan_program([row], Reading({"k": stored}), create=way[0], update=way[1])
    assert plan.statuses == {row.student_key: status}


@pytest.mark.parametrize(
    ("way", "row", "stored", "places", "status"),
    [
        (CREATE, CourseRow("k", "active"), [WAITING], {}, "active"),
        (CREATE, CourseRow("k", "active"), [WAITING, LINKED], {2: "active"}, Verdict.CONFLICT),
        (CREATE, CourseRow("k", "active", ONE), [WAITING, LINKED], {2: "active"}, "active"),
        (CREATE, CourseRow("k", "enrolled"), [WAITING], {}, Verdict.INVALID_STATUS),
        (CREATE, CourseRow("k", "enrolled"), [], {}, Verdict.INVALID_STATUS),
        (CREATE, CourseRow("k", "active"), [], {}, Verdict.NOT_IN_PROGRAM),
        (UPDATE, CourseRow("k", "inactive"), [WAITING], {}, Verdict.NOT_FOUND),
        (UPDATE, CourseRow("k", "inactive"), [WAITING], {1: "active"}, "inactive"),
        (UPDATE, CourseRow("K", "inactive"), [WAITING, LINKED], {2: "active"}, "inactive"),
        (UPDATE, CourseRow("k", "inactive", TWO), [WAITING], {1: "active"}, Verdict.NOT_IN_PROGRAM),
        (EITHER, CourseRow("k", "inactive"), [WAITING], {}, "inactive"),
        (EITHER, CourseRow("k", "inactive"), [WAITING], {1: "active"}, "inactive"),
    ],
)
def test_course_status(
    way: tuple[bool, bool], row: CourseRow, stored: list[Enrollment], places: dict[int, str], status: str
) -> None:
    """A row of a course has the first verdict that applies, or the status that was asked for."""
    courses = {id_: Course(id_ * 10, id_, place, None) for id_, place in places.items()}
    plan = plan_course([row], Reading({"k": stored}, courses), create=way[0], update=way[1])
    assert plan.statuses == {row.student_key: status}


def test_a_repeated_key_is_duplicated_in_every_spelling() -> None:
    """Each row of a key that is there twice, whatever its case, is duplicated, whatever else is wrong with it."""
    rows = [ProgramRow("k", "gone", ONE), ProgramRow("other", "ended", ONE), ProgramRow("K", "ended", TWO)]
    plan = plan_program(rows, Reading({"k": [WAITING]}), create=True, update=True)
    assert plan.statuses == {"k": "duplicated", "other": "ended", "K": "duplicated"}
    assert list(plan.writes) == ["other"]


def test_letters_that_only_fold_alike_are_different_keys() -> None:
    """Keys are alike only if their lower case is: ß and SS are two students."""
    rows = [ProgramRow("straße", "ended", ONE), ProgramRow("STRASSE", "ended", ONE)]
    plan = plan_program(rows, Reading({}), create=True, update=False)
    assert plan.statuses == {"straße": "ended", "STRASSE": "ended"}


def test_a_key_with_an_exact_match_means_that_one() -> None:
    """Of two keys that differ only in case, a row means the one with its spelling."""
    stored = [WAITING, Enrollment(3, "K", ONE, "enrolled", None)]
    plan = plan_program([ProgramRow("K", "ended")], Reading({"k": stored}), create=False, update=True)
    assert plan.writes == {"K": [ProgramWrite(3, "K", ONE, "ended", None)]}


@pytest.mark.parametrize("way", [CREATE, UPDATE, EITHER])
def test_a_key_that_may_be_either_of_two_is_a_conflict(way: tuple[bool, bool]) -> None:
    """A row whose key is like two keys of the program, and neither exactly, changes none of them."""
    stored = [Enrollment(1, "Kim", ONE, "enrolled", None), Enrollment(3, "KIM", ONE, "enrolled", None)]
    plan = plan_program([ProgramRow("kim", "ended", ONE)], Reading({"kim": stored}), create=way[0], update=way[1])
    assert (plan.statuses, plan.writes) == ({"kim": "conflict"}, {})


def test_what_is_as_asked_for_is_not_written() -> None:
    """Of a key with two curricula, only the enrollment with another status is written."""
    plan = plan_program([ProgramRow("k", "enrolled")], Reading({"k": [WAITING, LINKED]}), create=False, update=True)
    assert plan.writes == {"k": [ProgramWrite(2, "k", TWO, "enrolled", 7)]}


def test_a_new_enrollment_keeps_the_spelling_of_the_key() -> None:
    """A key that comes into a second curriculum is spelt as in its first, and linked to the account of its identity."""
    reading = Reading({"k": [WAITING]}, identities={"k": 9})
    plan = plan_program([ProgramRow("K", "enrolled", TWO)], reading, create=True, update=False)
    assert plan.writes == {"K": [ProgramWrite(None, "k", TWO, "enrolled", 9)]}


def test_active_elsewhere_is_a_conflict_before_an_unknown_status() -> None:
    """A key that is active in the course through another program cannot be active here, but it can be inactive."""
    other = ActiveElsewhere(70, "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a11")
    reading = Reading({"k": [WAITING]}, elsewhere={"k": other})
    plan = plan_course([CourseRow("K", "active")], reading, create=True, update=False)
    assert (plan.statuses, plan.active_elsewhere) == ({"K": "conflict"}, [other])
    plan = plan_course([CourseRow("K", "inactive")], reading, create=True, update=False)
    assert (plan.statuses, plan.active_elsewhere) == ({"K": "inactive"}, [])


def test_who_enters_a_course() -> None:
    """A linked account enters a course that is new for it or still waits; else its course enrollment follows."""
    waiting_place, entered_place = Course(10, 1, "active", None), Course(20, 2, "active", 99)
    third = Enrollment(3, "k", "c0ffee00-0000-4000-8000-000000000003", "enrolled", 8)
    reading = Reading({"k": [WAITING, LINKED, third]}, {1: waiting_place, 2: entered_place})
    plan = plan_course([CourseRow("k", "inactive")], reading, create=True, update=True)
    assert plan.writes == {
        "k": [
            CourseWrite(10, 1, None, "inactive", enters=False, course_staff=None),
            CourseWrite(20, 2, 7, "inactive", enters=False, course_staff=None),
            CourseWrite(None, 3, 8, "inactive", enters=True, course_staff=None),
        ]
    }
    still_waits = Reading({"k": [LINKED]}, {2: Course(20, 2, "active", None)})
    plan = plan_course([CourseRow("k", "active")], still_waits, create=False, update=True)
    assert plan.writes == {"k": [CourseWrite(20, 2, 7, "active", enters=True, course_staff=None)]}


def test_keys_of_one_account_are_written_one_after_the_other() -> None:
    """A key whose account an earlier key writes too is written by itself, as are all that share an account with it."""
    stored = {
        "a": [Enrollment(1, "a", ONE, "enrolled", 7)],
        "b": [Enrollment(2, "b", ONE, "enrolled", 8)],
        "c": [Enrollment(3, "c", TWO, "enrolled", 7)],
        "d": [Enrollment(4, "d", TWO, "enrolled", None)],
        "e": [Enrollment(5, "e", ONE, "enrolled", None)],
    }
    rows = [CourseRow(key, "active") for key in stored]
    plan = plan_course(rows, Reading(stored), create=True, update=False)
    assert plan.groups() == (["a", "b", "d", "e"], ["c"])
