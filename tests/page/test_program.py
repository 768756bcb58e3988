"""Programs: numbers, who is linked and who waits, and the waiting keys as a file."""

import pytest
from playwright.sync_api import Page, Route, expect

from local.lms import PROGRAM, Lms
from local.roster import SECOND_PROGRAM
from tests.page.support import check, go, saved, summary

pytestmark = pytest.mark.browser


def test_all_programs_with_their_numbers(page: Page) -> None:
    """Each program is listed with how many are linked and how many wait, and leads to its enrollments."""
    go(page, "program")
    rows = page.get_by_role("row")
    expect(rows.filter(has_text=PROGRAM).get_by_role("cell")).to_have_text(["200", "2", "198"])
    expect(rows).to_have_count(3)
    page.get_by_role("link", name=SECOND_PROGRAM).click()
    expect(page.get_by_text("99 enrollments: 0 linked, 99 waiting.")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(3)


@pytest.mark.slow
def test_enrollments_in_pages(page: Page) -> None:
    """Enrollments are looked through a page at a time, forwards and back."""
    go(page, f"program?program={PROGRAM}")
    keys = page.locator("tbody th")
    expect(keys.first).to_have_text("student-001")
    expect(keys).to_have_count(100)
    page.get_by_role("button", name="Next").click()
    expect(keys.first).to_have_text("student-101")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(keys.first).to_have_text("student-001")


@pytest.mark.slow
def test_filters_are_in_the_address(page: Page) -> None:
    """The linked ones, or those of a status, are shown and no others, also after a reload."""
    go(page, f"program?program={PROGRAM}")
    page.get_by_role("radio", name="Linked").check()
    keys = page.locator("tbody th")
    expect(keys).to_have_text(["student-004", "student-005"])
    page.reload()
    expect(keys).to_have_text(["student-004", "student-005"])
    page.get_by_label("Status").select_option("canceled")
    expect(page.get_by_text("There is none.")).to_be_visible()


def test_waiting_keys_are_saved_and_handed_in_with_usernames(page: Page, sample: Lms) -> None:
    """The file has each waiting key as it is, in the form that Link takes once usernames are filled in."""
    sample.enrollment('=1+1, "quoted"')
    go(page, f"program?program={PROGRAM}")
    name, data = saved(page, "Save the 199 waiting keys (CSV)")
    assert name == f"waiting-{PROGRAM}.csv"
    lines = data.decode("utf-8-sig").splitlines()
    assert lines[0] == "external_user_key,lms_username,status,curriculum_uuid"
    assert lines[-1] == '"=1+1, ""quoted""",,enrolled,c0ffee00-0000-4000-8000-000000000001'
    assert len(lines) == 200
    page.get_by_role("link", name="Link learners of this program").click()
    filled = f"{lines[0]}\n{lines[-1].replace(',,enrolled', ',carol,enrolled')}\n"
    page.get_by_label("Or a CSV file").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": filled.encode()}
    )
    page.get_by_role("button", name="Check").click()
    expect(summary(page)).to_contain_text("Of 1 line, 1 can be linked")


@pytest.mark.slow
def test_numbers_follow_what_was_linked(page: Page) -> None:
    """After linking, a program's numbers are the new ones."""
    check(page, "student-001,alice")
    page.get_by_role("button", name="Link 1 learner").click()
    expect(summary(page)).to_contain_text("1 line linked")
    go(page, f"program?program={PROGRAM}")
    expect(page.get_by_text("200 enrollments: 3 linked, 197 waiting.")).to_be_visible()


@pytest.mark.slow
def test_the_service_is_away(page: Page) -> None:
    """Where enrollments cannot be had, there is a sentence and a way to try again."""
    broken = [True]

    def handle(route: Route) -> None:
        route.abort("connectionrefused") if broken else route.continue_()

    page.route("**/enrollments?*", handle)
    go(page, f"program?program={PROGRAM}")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    broken.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("tbody th").first).to_have_text("student-001")
