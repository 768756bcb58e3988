"""Link: paste or drop, check, look, link, take the failed lines along."""

import re

import pytest
from playwright.sync_api import Page, Request, expect

from local.lms import Lms
from local.roster import SAMPLE_REQUEST
from tests.page.support import check, outcomes, saved, summary

pytestmark = pytest.mark.browser

SAMPLE = "\n".join(f"{key},{username}" for key, username in SAMPLE_REQUEST["external_keys_to_usernames"].items())  # type: ignore[attr-defined]


def test_the_check_changes_nothing_and_shows_each_outcome(page: Page, sample: Lms) -> None:
    """A check shows what would become of each line, with the server's message, and leaves the database as it was."""
    before = sample.rows("program_enrollments_programenrollment")
    check(page, SAMPLE)
    expect(summary(page)).to_have_text(
        "Of 9 lines, 3 can be linked, 1 linked already, 5 cannot be linked. Nothing has been changed."
    )
    assert [row[3] for row in outcomes(page)] == [
        "Can be linked",
        "Can be linked",
        "No such username",
        "Not in this program",
        "Linked already",
        "Held by another account",
        "Course unknown to the LMS",
        "Refused by the database",
        "Can be linked",
    ]
    assert outcomes(page)[2] == ["3", "student-003", "nobody", "No such username", "No user found with username nobody"]
    assert sample.rows("program_enrollments_programenrollment") == before


def test_linking_does_what_the_check_showed(page: Page, sample: Lms) -> None:
    """Link links the lines that the check found fit, and the others keep their messages."""
    check(page, SAMPLE)
    page.get_by_role("button", name="Link 3 learners").click()
    expect(summary(page)).to_have_text("3 lines linked, 1 linked already, 5 cannot be linked.")
    linked = sample.run(
        "SELECT external_user_key, username FROM program_enrollments_programenrollment JOIN auth_user ON auth_user.id ="
        " user_id WHERE external_user_key IN ('student-001', 'student-002', 'student-008') ORDER BY 1"
    )
    assert linked == [["student-001", "alice"], ["student-002", "bob"], ["student-008", "heidi"]]
    assert [row[3] for row in outcomes(page)].count("Linked") == 3


@pytest.mark.slow
def test_failed_lines_are_saved_and_can_be_handed_in_again(page: Page) -> None:
    """The file of failed lines has the columns that came in, code and message, and the page takes it as it is."""
    check(page, "Student Key;Username;Campus\nstudent-003;nobody;North\nstudent-001;alice;South\n")
    expect(summary(page)).to_contain_text("1 can be linked")
    name, data = saved(page, "Save the 1 failed line (CSV)")
    assert name == "failed.csv"
    assert data.decode("utf-8-sig").splitlines() == [
        "Student Key,Username,Campus,code,message",
        "student-003,nobody,North,user-not-found,No user found with username nobody",
    ]
    corrected = data.replace(b"nobody,North", b"carol,North")
    page.get_by_label("Or a CSV file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": corrected})
    page.get_by_role("button", name="Check").click()
    expect(summary(page)).to_contain_text("Of 1 line, 1 can be linked")


@pytest.mark.parametrize("how", ["chosen", "dropped"])
def test_a_file_is_chosen_or_dropped(page: Page, how: str) -> None:
    """A file is taken from the file field and from a drop, shown by its name, and can be removed again."""
    text = "external_user_key,lms_username\nstudent-001,alice\n"
    if how == "chosen":
        file = {"name": "fall.csv", "mimeType": "text/csv", "buffer": text.encode()}
        page.get_by_label("Or a CSV file").set_input_files(file)  # type: ignore[arg-type]
    else:
        drop(page, "fall.csv", text)
    expect(page.locator(".chosen")).to_contain_text("fall.csv")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a program first.")
    page.get_by_role("button", name="Remove the file").click()
    check(page, "student-002,bob")
    expect(summary(page)).to_contain_text("Of 1 line, 1 can be linked")


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file where lines are pasted."""
    data = page.evaluate_handle(
        "([name, text]) => { const data = new DataTransfer(); data.items.add(new File([text], name)); return data; }",
        [name, text],
    )
    page.dispatch_event(".lines", "drop", {"dataTransfer": data})


@pytest.mark.slow
def test_outcomes_are_filtered(page: Page) -> None:
    """A choice among the counted outcomes shows the lines with that one."""
    check(page, SAMPLE)
    page.get_by_label("No such username 1").check()
    assert [row[1] for row in outcomes(page)] == ["student-003"]
    expect(page.locator("caption")).to_have_text("Lines: No such username")
    page.get_by_label("All 9").check()
    assert len(outcomes(page)) == 9


def test_what_cannot_be_read_is_refused_with_reasons(page: Page) -> None:
    """Faults of the lines are listed with their places, and nothing is sent."""
    methods: list[str] = []

    def note(request: Request) -> None:
        methods.append(request.method)

    page.on("request", note)
    check(page, "student-001,alice\nstudent-001,bob\nstudent-003,\n")
    expect(page.get_by_role("alert").locator("li")).to_have_text(
        [
            "line 2: external user key student-001 provided multiple times, first in line 1",
            "line 3: both values are needed: external_user_key,lms_username",
        ]
    )
    page.remove_listener("request", note)
    assert methods == []


@pytest.mark.slow
def test_a_workbook_is_refused_by_name(page: Page) -> None:
    """An Excel workbook handed in for a CSV file is called by its name."""
    check(page, "")
    workbook = {"name": "fall.csv", "mimeType": "text/csv", "buffer": b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml"}
    page.get_by_label("Or a CSV file").set_input_files(workbook)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("Excel workbook: save it as CSV")


def test_text_stays_text(page: Page, sample: Lms) -> None:
    """Keys and usernames that are markup are shown letter for letter, and what cannot be seen gets a sign."""
    script = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    sample.enrollment(script)
    check(page, f"{script},alice\n\u200bstudent-002,bob\nstudent\u00a0003,  <b>bold</b>")
    expect(summary(page)).to_contain_text("Of 3 lines, 1 can be linked")
    rows = outcomes(page)
    assert rows[0][1] == script
    assert rows[1][1] == "[zero-width space]student-002"
    assert rows[2][1:3] == ["student[no-break space]003", "<b>bold</b>"]
    assert page.locator("main img, main script, main b b").count() == 0


@pytest.mark.slow
def test_a_change_after_the_check_asks_for_a_new_one(page: Page) -> None:
    """Lines that differ from the checked ones cannot be linked before they are checked."""
    check(page, "student-001,alice")
    expect(page.get_by_role("button", name="Link 1 learner")).to_be_visible()
    page.get_by_label("Student keys and usernames").fill("student-001,bob")
    expect(page.get_by_role("button", name=re.compile("^Link"))).to_have_count(0)


@pytest.mark.slow
def test_relinking_is_an_option(page: Page, sample: Lms) -> None:
    """A key that another account holds is moved if the option says so."""
    check(page, "student-005,erin")
    expect(summary(page)).to_contain_text("1 cannot be linked")
    page.get_by_text("Options").click()
    page.get_by_label("Move keys that another account holds").check()
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Link 1 learner").click()
    expect(summary(page)).to_contain_text("1 line linked")
    holder = sample.run(
        "SELECT username FROM program_enrollments_programenrollment JOIN auth_user ON auth_user.id = user_id"
        " WHERE external_user_key = 'student-005'"
    )
    assert holder == [["erin"]]
