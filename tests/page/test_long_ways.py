"""Many lines, and what happens on the way: the service goes away, is busy, the page is reloaded, a person goes back."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from local.lms import PROGRAM, Lms
from tests.page.support import check, choose_program, outcomes, saved, serve_changed, summary

pytestmark = pytest.mark.browser

# Keys that look like numbers, which an object of JavaScript would put in an order of its own.
MANY = "\n".join(f"{number},learner{number}" for number in range(25_000, 0, -1))
SIX_BATCHES = "\n".join(f"student-{number:03},learner{number:03}" for number in range(9, 21))


@pytest.mark.slow
def test_twenty_five_thousand_lines(page: Page) -> None:
    """So many lines are checked in batches with progress, in their order, and looked through a page at a time."""
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data or ""))
    paste(page, MANY)
    expect(page.locator(".chosen")).to_contain_text("Pasted lines")
    choose_program(page)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("progressbar", name="Checking")).to_be_visible()
    expect(summary(page)).to_contain_text("Of 25,000 lines, 0 can be linked", timeout=60_000)
    sent = re.findall(r'"(\d+)":"learner', "".join(bodies))
    assert sent == [str(number) for number in range(25_000, 0, -1)]
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(100)
    expect(rows.first).to_contain_text("learner25000")
    page.get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("learner24900")
    expect(page.locator(".pager")).to_contain_text("101\u2013200 of 25,000")
    _, data = saved(page, "Save the 25,000 failed lines (CSV)")
    assert data.count(b"\r\n") == 25_001


def paste(page: Page, text: str) -> None:
    """Paste into the field for lines."""
    page.get_by_label("Student keys and usernames").evaluate(
        "(field, text) => { const data = new DataTransfer(); data.setData('text/plain', text);"
        " field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, cancelable: true })); }",
        text,
    )


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page sends two lines in a request, and waits a tenth of the seconds that it says."""
    tenth = ("api.js", "seconds * 1000", "seconds * 100")
    serve_changed(monkeypatch, ("batches.js", "BATCH_KEYS = 2000", "BATCH_KEYS = 2"), tenth)


def after(requests: int, then: Callable[[Route], None]) -> Callable[[Route], None]:
    """Let so many requests pass, then do something else with one."""
    seen: list[Route] = []

    def handle(route: Route) -> None:
        seen.append(route)
        then(route) if len(seen) == requests + 1 else route.continue_()

    return handle


@pytest.mark.slow
def test_the_service_goes_away_midway(small_batches: None, page: Page, sample: Lms) -> None:
    """What was linked before stays and is counted; the rest is linked by going on."""
    check(page, SIX_BATCHES)
    expect(summary(page)).to_contain_text("12 can be linked")
    page.route("**/links", after(3, lambda route: route.abort("connectionrefused")))
    page.get_by_role("button", name="Link 12 learners").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Not finished")
    expect(summary(page)).to_contain_text("The service cannot be reached. Look at the network, then try again.")
    expect(summary(page)).to_contain_text("6 of 12 lines are linked or refused, and stay so")
    assert [row[3] for row in outcomes(page)] == ["Linked"] * 6 + ["Not done"] * 6
    page.get_by_role("button", name="Go on linking").click()
    expect(summary(page)).to_contain_text("12 lines linked")
    [[linked]] = sample.run(
        "SELECT count(*) FROM program_enrollments_programenrollment JOIN auth_user ON auth_user.id = user_id"
        " WHERE replace(external_user_key, 'student-', 'learner') = username AND program_uuid = :program",
        program=PROGRAM,
    )
    assert linked == 12


@pytest.mark.slow
def test_a_busy_service_is_waited_for(small_batches: None, page: Page) -> None:
    """A busy service is asked again after the time that it names, and the page says so meanwhile."""
    busy = {"Retry-After": "2", "Content-Type": "application/json"}
    page.route("**/links", after(1, lambda route: route.fulfill(status=503, headers=busy, body='{"message": "busy"}')))
    check(page, SIX_BATCHES)
    expect(page.get_by_text("The service is busy (503): trying again in 2 s.").last).to_be_visible()
    expect(summary(page)).to_contain_text("Of 12 lines, 12 can be linked")


@pytest.mark.slow
def test_an_answer_that_is_cut_off(page: Page) -> None:
    """An answer that does not arrive whole is no answer: the page says so, and that repeating is safe."""
    page.route("**/links", after(0, lambda route: route.fulfill(status=200, body='{"linked": ')))
    check(page, SIX_BATCHES)
    expect(summary(page)).to_contain_text("cut before the whole answer was here. Try again: repeating is safe.")


@pytest.mark.slow
def test_stopping(small_batches: None, page: Page) -> None:
    """A person can stop between batches; what was not checked is shown as such, and can be gone on with."""
    held: list[Route] = []
    page.route("**/links", after(2, held.append))
    check(page, SIX_BATCHES)
    expect(page.get_by_text("4 of 12 lines checked.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(summary(page)).to_contain_text("Stopped.")
    assert [row[3] for row in outcomes(page)].count("Not done") == 8
    page.get_by_role("button", name="Go on checking").click()
    expect(summary(page)).to_contain_text("Of 12 lines, 12 can be linked")


@pytest.mark.slow
def test_a_reload_midway(small_batches: None, page: Page) -> None:
    """Leaving while lines are on their way asks first; after the reload the same lines can be handed in again."""
    check(page, SIX_BATCHES)
    expect(summary(page)).to_contain_text("12 can be linked")
    held: list[Route] = []
    page.route("**/links", after(3, held.append))
    page.get_by_role("button", name="Link 12 learners").click()
    expect(page.get_by_text("6 of 12 lines linked.")).to_be_visible()
    questions: list[str] = []

    def leave(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.reload()
    page.remove_listener("dialog", leave)
    assert questions == ["beforeunload"]
    page.unroute("**/links")
    check(page, SIX_BATCHES)
    expect(summary(page)).to_contain_text("Of 12 lines, 6 can be linked, 6 linked already, 0 cannot be linked.")


def test_the_service_is_away_from_the_start(page: Page) -> None:
    """A page that cannot reach its service says so in a sentence."""
    page.route("**/page/settings.json", lambda route: route.abort("connectionrefused"))
    page.reload()
    expect(page.get_by_role("alert")).to_have_text(
        "The service cannot be reached. Look at the network, then reload the page."
    )


@pytest.mark.slow
def test_program_and_lines_outlive_a_look_elsewhere(page: Page) -> None:
    """The back button leads from one address of the page to the one before, and lines and outcome are still there."""
    check(page, "student-001,alice")
    expect(summary(page)).to_contain_text("1 can be linked")
    page.goto(f"{page.url.partition('#')[0]}#/link?program={PROGRAM}")
    page.go_back()
    expect(summary(page)).to_contain_text("1 can be linked")
    expect(page.get_by_label("Student keys and usernames")).to_have_value("student-001,alice")


@pytest.mark.slow
def test_an_address_that_is_none(page: Page) -> None:
    """An address that names no part of the page leads to the first one."""
    page.goto(f"{page.url.partition('#')[0]}#/nowhere?program={PROGRAM}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Link learners")
    choose_program(page)
