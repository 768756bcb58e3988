"""Keyboard, screen reader, narrow and dark screens: on each part of the page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from local.lms import CURRICULUM, PROGRAM
from local.roster import SAMPLE_REQUEST
from tests.page.support import Ways, check, choose_program, each_way, go, look, serve_changed, summary

pytestmark = pytest.mark.browser

SAMPLE = "\n".join(f"{key},{username}" for key, username in SAMPLE_REQUEST["external_keys_to_usernames"].items())  # type: ignore[attr-defined]


def checked(page: Page) -> None:
    """The table of outcomes, with the options open."""
    page.get_by_text("Options").click()
    check(page, SAMPLE)
    expect(summary(page)).to_contain_text("Of 9 lines")


def faulty(page: Page) -> None:
    """Lines that are refused."""
    check(page, "student-001,alice\nstudent-001,bob")
    expect(page.get_by_role("alert")).to_be_visible()


def programs(page: Page) -> None:
    """All programs."""
    go(page, "program")


def program(page: Page) -> None:
    """One program with its enrollments."""
    go(page, f"program?program={PROGRAM}")
    page.get_by_text("Enroll keys by a file").click()
    expect(page.get_by_role("table")).to_be_visible()


def enrolling(page: Page) -> None:
    """A file of enrollments that was checked, with a line that fails."""
    program(page)
    lines = f"student_key,status,curriculum_uuid\nstudent-001,ended,{CURRICULUM}\n{'k' * 60},gone,{CURRICULUM}\n"
    file = {"name": "enrollments.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    page.get_by_label("File of enrollments").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("button", name="Save the 1 failed line (CSV)")).to_be_visible()


def learner(page: Page) -> None:
    """A learner with findings and an open history."""
    check(page, SAMPLE)
    page.get_by_role("button", name="Link 3 learners").click()
    go(page, "learner?key=student-002")
    page.get_by_text("History").click()
    expect(page.get_by_role("table")).to_have_count(2)


VIEWS: dict[str, Callable[[Page], None]] = {
    "link": lambda _: None,
    "link, checked": checked,
    "link, faulty": faulty,
    "programs": programs,
    "program": program,
    "program, enrolling": enrolling,
    "learner": learner,
}


@pytest.fixture
def short_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrollments are shown five at a time: axe looks at each cell, and a sixth row is like the fifth."""
    serve_changed(monkeypatch, ("program.js", "PAGE_ROWS = 100", "PAGE_ROWS = 5"))


@each_way(VIEWS, alike=["link", "link, faulty", "programs", "program", "program, enrolling", "learner"])
def test_everybody_can_use_each_view(short_tables: None, tolerant_page: Page, view: str, ways: Ways) -> None:
    """No part of the page has a barrier that axe knows, and on a screen of 320 pixels each is within its width."""
    VIEWS[view](tolerant_page)
    look(tolerant_page, ways)


def test_linking_with_the_keyboard(page: Page) -> None:
    """A person without a mouse chooses, types, checks, filters and links, and is led to each outcome."""
    choose_program(page)
    page.get_by_label("Program", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Student keys and usernames")).to_be_focused()
    page.keyboard.insert_text("student-001,alice\nstudent-003,nobody")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Check")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Checked")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Link 1 learner")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Can be linked 1")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Linked")).to_be_focused()
    expect(summary(page)).to_contain_text("1 line linked")


def test_outcomes_are_said(page: Page) -> None:
    """A screen reader hears what came of a check, without moving there."""
    check(page, "student-001,alice")
    expect(page.get_by_role("status")).to_have_text(
        "Of 1 line, 1 can be linked, 0 linked already, 0 cannot be linked. Nothing has been changed."
    )


@pytest.mark.slow
def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    """The first stop of the keyboard leads past the head of the page, and leaves the address as it is."""
    address = page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    assert page.url == address
    assert PROGRAM not in address
