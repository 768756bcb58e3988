"""Enrolling by a file, in a program and in a course of it."""

import pytest
from playwright.sync_api import Page, expect

from local.lms import CURRICULUM, PROGRAM, Lms
from local.roster import COURSES
from tests.page.support import go

pytestmark = pytest.mark.browser


def check(page: Page, text: str, *, way: str = "PUT", course: str = "") -> None:
    """Hand a file in, and check it."""
    go(page, f"program?program={PROGRAM}")
    page.get_by_text("Enroll keys by a file").click()
    file = {"name": "enrollments.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("File of enrollments").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_label("What to do").select_option(way)
    page.get_by_label("Course", exact=True).fill(course)
    page.get_by_role("button", name="Check the file").click()


def statuses(lms: Lms, keys: str) -> list[list[str]]:
    """The keys that begin so, with their statuses in the program."""
    return lms.run(
        "SELECT external_user_key, status FROM program_enrollments_programenrollment"
        " WHERE external_user_key LIKE :keys ORDER BY 1",
        keys=keys,
    )


def test_a_program_is_filled(page: Page, sample: Lms) -> None:
    """A file is checked without a change, and then makes and changes enrollments of the program."""
    lines = f"new-1,enrolled,{CURRICULUM}\nstudent-001,canceled,{CURRICULUM}\nnew-2,registered,{CURRICULUM}\n"
    check(page, f"student_key,status,curriculum_uuid\n{lines}")
    outcome = page.get_by_role("region", name="Outcome of enrolling")
    expect(outcome.locator(".notice")).to_have_text(
        "Of 3 lines, 2 can be written and 1 cannot. Nothing has been changed."
    )
    expect(outcome.get_by_role("row").last).to_contain_text("No such status")
    assert statuses(sample, "new%") == []
    page.get_by_role("button", name="Write 2 enrollments").click()
    expect(outcome.locator(".notice")).to_have_text("2 lines written, 0 not.")
    assert statuses(sample, "new%") == [["new-1", "enrolled"]]
    assert statuses(sample, "student-001") == [["student-001", "canceled"]]


def test_a_course_is_filled(page: Page, sample: Lms) -> None:
    """With a course, the lines are places in it."""
    check(page, "student_key;status;course_staff\nstudent-012;active;TRUE\n", course=COURSES[3])
    page.get_by_role("button", name="Write 1 enrollment").click()
    expect(page.get_by_text("1 line written, 0 not.").first).to_be_visible()
    [[course_key, status]] = sample.run(
        "SELECT course_key, pce.status FROM program_enrollments_programcourseenrollment pce"
        " JOIN program_enrollments_programenrollment pe ON pe.id = program_enrollment_id"
        " WHERE external_user_key = 'student-012' AND course_key = :course",
        course=COURSES[3],
    )
    assert (course_key, status) == (COURSES[3], "active")


@pytest.mark.parametrize(
    ("text", "method", "faults"),
    [
        (
            "student_key,status\nnew-1,enrolled\nnew-2,\n",
            "PATCH",
            ["line 3: both values are needed: student_key,status"],
        ),
        ("student_key,status\nnew-1,enrolled\n", "POST", ["line 2: a new enrollment needs a curriculum_uuid"]),
        (
            "new-1,enrolled\nNEW-1,ended\n",
            "PATCH",
            ["line 2: student key NEW-1 provided multiple times, whatever its case; first in line 1"],
        ),
    ],
)
def test_a_faulty_file_is_not_sent(page: Page, text: str, method: str, faults: list[str]) -> None:
    """A file at fault is refused with its lines, before anything is sent."""
    check(page, text, way=method)
    expect(page.get_by_role("alert").locator("li")).to_have_text(faults)


def test_a_course_that_is_not_there(page: Page) -> None:
    """A course that the LMS does not know is refused in the service's words."""
    check(page, "student-001,active\n", course="course-v1:no+such+course")
    expect(page.get_by_role("alert")).to_contain_text("There is no such course.")
