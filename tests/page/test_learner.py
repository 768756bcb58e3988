"""Learners: what is known of a key or an account, and what is amiss."""

import pytest
from playwright.sync_api import Page, expect

from local.lms import PROGRAM, Lms
from tests.page.support import check, go, summary

pytestmark = pytest.mark.browser


def test_a_key_that_waits_says_why(page: Page) -> None:
    """A waiting key shows its courses, and findings say what keeps it from being linked."""
    go(page, "learner")
    page.get_by_label("Student key").fill("student-006")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("heading", name="Student key student-006 waiting")).to_be_visible()
    findings = page.locator(".findings .notice")
    expect(findings.nth(0)).to_contain_text("no account holds it")
    expect(findings.nth(1)).to_contain_text("The LMS does not know the course course-v1:ExampleX+MS199+Withdrawn.")
    assert page.url.endswith("#/learner?key=student-006")


def test_a_linked_learner_shows_courses_and_history(page: Page) -> None:
    """After linking, the account, the mode in each course and the changes are shown."""
    check(page, "student-002,bob")
    page.get_by_role("button", name="Link 1 learner").click()
    expect(summary(page)).to_contain_text("1 line linked")
    go(page, f"learner?key=student-002&program={PROGRAM}")
    expect(page.get_by_text("Nothing is amiss, and nothing waits.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="MS103")
    expect(row.get_by_role("cell")).to_have_text(["active", "masters, active bob", ""])
    page.get_by_text("History").click()
    expect(page.get_by_role("row").filter(has_text="MS104+2026_Fall (LMS)")).to_contain_text("created")


@pytest.mark.slow
def test_an_account_by_its_username(page: Page) -> None:
    """A username leads to the account and to what it holds."""
    go(page, "learner")
    page.get_by_label("or username").fill("grace")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Account grace, active.")).to_be_visible()
    expect(page.get_by_role("heading", name="Student key student-005 grace")).to_be_visible()


def test_nobody_is_found(page: Page) -> None:
    """A key or a username that is not there is said to be so."""
    go(page, "learner?key=nobody")
    expect(page.get_by_role("alert")).to_contain_text("No enrollment has this external user key.")
    go(page, "learner?username=nobody")
    expect(page.get_by_role("alert")).to_contain_text("No account has this username.")


@pytest.mark.slow
def test_the_back_button_leads_from_learner_to_learner(page: Page) -> None:
    """Each learner that was looked at has an address, which the back button leads to."""
    go(page, "learner?key=student-001")
    page.get_by_label("Student key").fill("student-002")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("heading", name="Student key student-002")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Student key student-001")).to_be_visible()


def test_text_of_the_database_stays_text(page: Page, sample: Lms) -> None:
    """A key that is a script, and courses and usernames that are markup, are shown letter for letter."""
    key = "<script>alert(1)</script>\u202e"
    sample.enrollment(key, ["<img src=x>"], user_id=sample.user("<i>u</i>"))
    go(page, "learner?username=%3Ci%3Eu%3C%2Fi%3E")
    expect(page.get_by_role("heading", level=2).last).to_have_text(
        "Student key <script>alert(1)</script>[right-to-left override] <i>u</i>"
    )
    expect(page.get_by_role("rowheader")).to_have_text("<img src=x>")
    assert page.locator("main script, main img, main i").count() == 0
