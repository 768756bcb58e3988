"""Keyboard, screen reader, narrow and dark screens: on each part of the page."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from local.lms import PROGRAM
from local.roster import SAMPLE_REQUEST
from tests.page.support import barriers, check, choose_program, go, summary

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
    "learner": learner,
}


@pytest.fixture
def tolerant_page(chromium: Browser, url: str) -> Iterator[Page]:
    """The page with its policy off, so that axe can look at it from inside."""
    context = chromium.new_context(bypass_csp=True, viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield page
    context.close()


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(tolerant_page: Page, view: str) -> None:
    """No part of the page has a barrier that axe knows, in light and in dark, wide and narrow."""
    VIEWS[view](tolerant_page)
    assert barriers(tolerant_page) == []


@pytest.mark.parametrize("view", VIEWS)
def test_narrow_screens_do_not_scroll_sideways(page: Page, view: str) -> None:
    """On a screen of 320 pixels everything is within its width."""
    page.set_viewport_size({"width": 320, "height": 700})
    VIEWS[view](page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 320


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


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    """The first stop of the keyboard leads past the head of the page, and leaves the address as it is."""
    address = page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    assert page.url == address
    assert PROGRAM not in address
