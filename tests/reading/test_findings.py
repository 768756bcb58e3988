"""What is amiss with a learner is found, and only then; each finding says what to do."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from program_enrollments.reading import findings
from program_enrollments.reading.answers import Account, Course, Enrollment, Finding
from program_enrollments.reading.findings import findings_of

HEIDI: Account = {"username": "heidi", "is_active": True}
COURSE_KEY = "course-v1:edX+DemoX+2026"


def entered(**changes: object) -> dict[str, Any]:
    """An active course enrollment of heidi in the master's track."""
    return {"username": "heidi", "mode": "masters", "is_active": True, "history": []} | changes


def course(**changes: object) -> Course:
    """An active program-course enrollment with a course enrollment."""
    usual = {
        "course_key": COURSE_KEY,
        "status": "active",
        "course_exists": True,
        "course_enrollment": entered(),
        "pending_roles": [],
        "created": "",
        "modified": "",
        "history": [],
    }
    return cast("Course", usual | changes)


def enrollment(*courses: Course, **changes: object) -> Enrollment:
    """A program enrollment that heidi holds."""
    usual = {
        "program_uuid": "p",
        "curriculum_uuid": "c",
        "external_user_key": "student-001",
        "status": "enrolled",
        "holder": HEIDI,
        "courses": list(courses),
        "other_keys": [],
        "similar_keys": [],
        "created": "",
        "modified": "",
        "history": [],
    }
    return cast("Enrollment", usual | changes)


def test_nothing_is_found_where_all_is_well() -> None:
    """An enrollment that is linked, with courses in the master's track, has no finding."""
    left = course(status="inactive", course_enrollment=entered(is_active=False))
    assert findings_of(None, [enrollment(course(), left)]) == []


WAITING_COURSE = course(course_enrollment=None)


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        pytest.param(
            enrollment(WAITING_COURSE, holder=None),
            "waiting",
            "The key student-001 waits: no account holds it.",
            id="no account",
        ),
        pytest.param(
            enrollment(similar_keys=["STUDENT-001"]),
            "similar-keys",
            "The program also has STUDENT-001, which differs from this one only in case.",
            id="one other spelling",
        ),
        pytest.param(
            enrollment(similar_keys=["STUDENT-001", "Student-001"]),
            "similar-keys",
            "The program also has STUDENT-001 and Student-001, which differ from this one only in case.",
            id="two other spellings",
        ),
        pytest.param(
            enrollment(other_keys=["student-009"]),
            "account-has-another-key",
            "heidi holds the program under student-009 too.",
            id="another key",
        ),
        pytest.param(
            enrollment(course(), holder=HEIDI | {"is_active": False}),
            "account-inactive",
            "The account heidi is not active.",
            id="inactive account",
        ),
        pytest.param(
            enrollment(course(), status="canceled"),
            "ended-but-enrolled",
            f"The key student-001 is canceled in the program, but still enrolled in {COURSE_KEY}.",
            id="canceled program",
        ),
        pytest.param(
            enrollment(WAITING_COURSE),
            "course-waits",
            f"The key student-001 is linked to heidi, but the course {COURSE_KEY} still waits.",
            id="waiting course",
        ),
        pytest.param(
            enrollment(course(course_exists=False)),
            "course-unknown",
            f"The LMS does not know the course {COURSE_KEY}.",
            id="unknown course",
        ),
        pytest.param(
            enrollment(course(status="inactive")),
            "inactive-but-enrolled",
            f"The key student-001 is inactive in the course {COURSE_KEY}, but heidi is enrolled there.",
            id="inactive but enrolled",
        ),
        pytest.param(
            enrollment(course(course_enrollment=entered(is_active=False))),
            "active-but-unenrolled",
            f"The key student-001 is active in the course {COURSE_KEY}, but heidi has left it.",
            id="active but unenrolled",
        ),
        pytest.param(
            enrollment(course(course_enrollment=entered(mode="verified"))),
            "paid-mode-kept",
            f"heidi is in the course {COURSE_KEY} as verified, not in the master's track: linking keeps what may have"
            " been paid for.",
            id="paid mode",
        ),
        pytest.param(
            enrollment(course(status="inactive", course_enrollment=entered(mode="verified"))),
            "paid-mode-kept",
            f"heidi is in the course {COURSE_KEY} as verified, not in the master's track: linking keeps what may have"
            " been paid for.",
            id="paid mode though inactive",
        ),
        pytest.param(
            enrollment(course(course_enrollment=entered(mode="audit"))),
            "not-in-masters-track",
            f"heidi is in the course {COURSE_KEY} as audit: it was changed after the key was linked.",
            id="free mode",
        ),
        pytest.param(
            enrollment(course(course_enrollment=entered(username="grace"))),
            "foreign-course-enrollment",
            f"The key student-001 is held by heidi, but its course {COURSE_KEY} is with grace.",
            id="another account's course",
        ),
        pytest.param(
            enrollment(course(pending_roles=["staff"])),
            "roles-wait",
            f"heidi does not have the role staff in the course {COURSE_KEY} yet: refused when the key was linked.",
            id="refused role",
        ),
    ],
)
def test_one_finding(found: Enrollment, code: str, words: str) -> None:
    """Each thing that is amiss is one finding, with a code, what it is, what to do, and where."""
    [finding] = findings_of(None, [found])
    assert (finding["code"], finding["message"]) == (code, words)
    assert finding["advice"].endswith(".")
    assert (finding["program_uuid"], finding["external_user_key"]) == ("p", "student-001")
    assert finding["course_key"] in {None, COURSE_KEY}


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        pytest.param(
            enrollment(course(pending_roles=["staff"]), holder=HEIDI | {"is_active": False}),
            ["account-inactive", "roles-wait"],
            id="roles of an inactive account",
        ),
        pytest.param(
            enrollment(course(course_exists=False, course_enrollment=None), holder=None),
            ["waiting", "course-unknown"],
            id="waits for an unknown course",
        ),
        pytest.param(
            enrollment(course(course_exists=False, course_enrollment=None)),
            ["course-unknown"],
            id="linked, and the course is unknown",
        ),
        pytest.param(
            enrollment(course(), holder=None), ["waiting", "foreign-course-enrollment"], id="unlinked by hand"
        ),
        pytest.param(
            enrollment(WAITING_COURSE, WAITING_COURSE), ["course-waits", "course-waits"], id="each course by itself"
        ),
        pytest.param(
            enrollment(course(course_enrollment=entered(is_active=False, mode="verified"))),
            ["active-but-unenrolled"],
            id="left in a paid mode",
        ),
    ],
)
def test_several_findings(found: Enrollment, codes: list[str]) -> None:
    """Findings stand side by side if several things are amiss, and none is said twice in other words."""
    assert [finding["code"] for finding in findings_of(None, [found])] == codes


def test_reasons_of_waiting_roles() -> None:
    """An inactive account is named as the reason for which its roles wait."""
    inactive = enrollment(course(pending_roles=["instructor", "staff"]), holder=HEIDI | {"is_active": False})
    _, finding = findings_of(None, [inactive])
    assert finding["message"] == (
        f"heidi does not have the roles instructor and staff in the course {COURSE_KEY} yet:"
        " an inactive account gets no roles."
    )


def test_linking_fails_while_a_course_is_unknown() -> None:
    """A waiting enrollment's unknown course is why linking its key fails."""
    _, finding = findings_of(None, [enrollment(course(course_exists=False, course_enrollment=None), holder=None)])
    assert finding["message"].endswith("Linking the key fails as long as that is so.")


def test_an_enrollment_without_a_key() -> None:
    """An enrollment that has an account but no key is spoken of without one."""
    [finding] = findings_of(None, [enrollment(WAITING_COURSE, external_user_key=None)])
    assert finding["message"].startswith("The enrollment without a key is linked to heidi, but")


def test_a_split_key() -> None:
    """A key that several accounts hold, or one account in some curricula only, is found once."""
    elsewhere = enrollment(program_uuid="q", holder=None)
    grace = enrollment(holder={"username": "grace", "is_active": True})
    findings = findings_of(None, [enrollment(), grace, elsewhere])
    assert [finding["code"] for finding in findings] == ["waiting", "split-key"]
    assert findings[1]["message"] == (
        "The key student-001 is in several curricula of the program, held by grace and heidi."
    )
    [_, split] = findings_of(None, [enrollment(), enrollment(holder=None)])
    assert split["message"].endswith("held by heidi and nobody.")


def test_an_account_without_a_program() -> None:
    """An account that holds nothing is found, and one that does is not."""
    [finding] = findings_of(HEIDI, [])
    assert (finding["code"], finding["program_uuid"]) == ("account-without-program", None)
    assert finding["message"] == "The account heidi holds no program enrollment."
    assert findings_of(HEIDI, [enrollment()]) == []


def test_all_findings_are_tested() -> None:
    """Each function that finds something is one of an enrollment, of a course, or of the whole answer."""
    finders = {
        name
        for name, finder in vars(findings).items()
        if getattr(finder, "__annotations__", {}).get("return") == Iterator[Finding] and not name.startswith("_")
    }
    used: tuple[Callable[..., object], ...] = (*findings.OF_ENROLLMENT, *findings.OF_COURSE)
    assert finders == {finder.__name__ for finder in used} | {"account_without_program", "split_key"}
