"""Enrolling by a file, in a program and in a course of it."""

import pytest
from playwright.sync_api import Locator, Page, expect

from local.lms import CURRICULUM, PROGRAM, Lms
from local.roster import COURSES
from tests.enrolling.test_identities import identity, with_single_sign_on
from tests.page.support import go, saved

pytestmark = pytest.mark.browser


def check(page: Page, text: str, *, way: str = "PUT", course: str = "", idp: str = "") -> None:
    """Hand a file in, and check it."""
    open_form(page)
    page.get_by_label("What to do").select_option(way)
    page.get_by_label("Course", exact=True).fill(course)
    page.get_by_label("Identity provider").fill(idp)
    hand_in(page, text.encode())


def open_form(page: Page) -> None:
    """Go to where a file is handed in."""
    go(page, f"program?program={PROGRAM}")
    page.get_by_text("Enroll keys by a file").click()


def hand_in(page: Page, data: bytes) -> None:
    """Choose a file, and check it."""
    file = {"name": "enrollments.csv", "mimeType": "text/csv", "buffer": data}
    page.get_by_label("File of enrollments").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()


def sentence(page: Page) -> Locator:
    """What is said of the file as a whole."""
    return page.get_by_role("region", name="Outcome of enrolling").locator(".notice")


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
    expect(sentence(page)).to_have_text("Of 3 lines, 2 can be written and 1 cannot. Nothing has been changed.")
    outcome = page.get_by_role("region", name="Outcome of enrolling")
    expect(outcome.get_by_role("row").last).to_contain_text("No such status")
    assert statuses(sample, "new%") == []
    page.get_by_role("button", name="Write 2 enrollments").click()
    expect(sentence(page)).to_have_text("2 lines written, 1 not.")
    expect(outcome.get_by_role("row").last).to_contain_text("No such status")
    assert statuses(sample, "new%") == [["new-1", "enrolled"]]
    assert statuses(sample, "student-001") == [["student-001", "canceled"]]


@pytest.mark.slow
def test_failed_lines_go_in_again(page: Page, sample: Lms) -> None:
    """Failed lines are saved in their own columns with code and message, and go in again, corrected or not."""
    header = "Name;Student Key;Curriculum;Status;code;message"
    lines = ["Ada;new-1;{0};enrolled;x;y", '"Lovelace; A";new-2;{0};gone;x;y', "=1+1;new-3;{0};registered;x;y"]
    check(page, "\n".join([header, *lines]).format(CURRICULUM))
    page.get_by_role("button", name="Write 1 enrollment").click()
    expect(sentence(page)).to_have_text("1 line written, 2 not.")
    name, failed = saved(page, "Save the 2 failed lines (CSV)")
    assert (name, failed.decode("utf-8-sig").split("\r\n")) == (
        "failed.csv",
        [
            "Name,Student Key,Curriculum,Status,code,message",
            f'"Lovelace; A",new-2,{CURRICULUM},gone,invalid-status,No such status',
            f"=1+1,new-3,{CURRICULUM},registered,invalid-status,No such status",
            "",
        ],
    )
    hand_in(page, failed)
    expect(sentence(page)).to_have_text("Of 2 lines, 0 can be written and 2 cannot. Nothing has been changed.")
    assert saved(page, "Save the 2 failed lines (CSV)") == (name, failed)
    hand_in(page, failed.replace(b",gone,", b",ended,"))
    page.get_by_role("button", name="Write 1 enrollment").click()
    expect(sentence(page)).to_have_text("1 line written, 1 not.")
    assert statuses(sample, "new%") == [["new-1", "enrolled"], ["new-2", "ended"]]
    expect(page.locator(".files")).to_contain_text("A spreadsheet may take a cell that begins with =")


@pytest.mark.slow
def test_failed_lines_without_a_header(page: Page) -> None:
    """Lines without column names are saved with the names of what they are."""
    check(page, "student-001,gone\n", way="PATCH")
    _, failed = saved(page, "Save the 1 failed line (CSV)")
    assert failed.decode("utf-8-sig") == (
        "student_key,status,code,message\r\nstudent-001,gone,invalid-status,No such status\r\n"
    )


@pytest.mark.slow
def test_an_identity_provider(page: Page, sample: Lms) -> None:
    """A new key that the provider knows is linked at once; in an LMS without single sign-on, that is refused."""
    lines = f"new-1,enrolled,{CURRICULUM}\nnew-2,enrolled,{CURRICULUM}\n"
    check(page, f"student_key,status,curriculum_uuid\n{lines}", idp="uni")
    expect(page.get_by_role("alert")).to_contain_text("has no table social_auth_usersocialauth")
    with_single_sign_on(sample)
    identity(sample, "uni:new-1", sample.user("ada"))
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Write 2 enrollments").click()
    expect(sentence(page)).to_have_text("2 lines written, 0 not.")
    assert sample.run(
        "SELECT external_user_key, username FROM program_enrollments_programenrollment AS enrollment"
        " LEFT JOIN auth_user AS account ON account.id = user_id WHERE external_user_key LIKE 'new%' ORDER BY 1"
    ) == [["new-1", "ada"], ["new-2", None]]


@pytest.mark.slow
def test_a_provider_is_for_programs(page: Page) -> None:
    """A course and an identity provider do not go together, and nothing is sent."""
    check(page, "student-001,active\n", course=COURSES[3], idp="uni")
    expect(page.get_by_role("alert")).to_contain_text("leave out one of course and identity provider")


@pytest.mark.slow
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


FAULTY = [
    ("student_key,status\nnew-1,enrolled\nnew-2,\n", "PATCH", "line 3: both values are needed: student_key,status"),
    ("student_key,status\nnew-1,enrolled\n", "POST", "line 2: a new enrollment needs a curriculum_uuid"),
    (
        "new-1,enrolled\nNEW-1,ended\n",
        "PATCH",
        "line 2: student key NEW-1 provided multiple times, whatever its case; first in line 1",
    ),
]


def test_a_faulty_file_is_not_sent(page: Page) -> None:
    """A file at fault is refused with its lines, before anything is sent."""
    open_form(page)
    for text, way, fault in FAULTY:
        page.get_by_label("What to do").select_option(way)
        hand_in(page, text.encode())
        expect(page.get_by_role("alert").locator("li")).to_have_text([fault])


@pytest.mark.slow
def test_a_course_that_is_not_there(page: Page) -> None:
    """A course that the LMS does not know is refused in the service's words."""
    check(page, "student-001,active\n", course="course-v1:no+such+course")
    expect(page.get_by_role("alert")).to_contain_text("There is no such course.")
