"""Rosters: a large file is sent, watched, stopped, resumed, held; its results are saved.

The functions are the real ones, in a walk that stands for Step Functions; S3 is moto, with a small server for the form.
"""

import email
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from functions.link.app import lambda_handler
from functions.roster.app import lambda_handler as roster_handler
from local.lms import PROGRAM, Lms
from roster_function import bucket
from tests.page.conftest import serving
from tests.page.support import WAYS, Ways, choose_program, go, look, serve_changed
from tests.rosters.conftest import cohort, rosters, small_requests  # noqa: F401 - fixtures
from tests.rosters.support import BUCKET, Items, Machine, arrive, csv_of, drop, linked, pairs, put_event

pytestmark = pytest.mark.browser


class Bucket(BaseHTTPRequestHandler):
    """Takes the form that a browser sends to S3, after it has asked whether it may."""

    def do_OPTIONS(self) -> None:
        self.answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = email.message_from_bytes(f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body)
        parts = {part.get_param("name", header="Content-Disposition"): part for part in form.get_payload()}  # type: ignore[union-attr]
        key = parts["key"].get_payload().strip()  # type: ignore[union-attr]
        put = bucket.s3().put_object(Bucket=BUCKET, Key=key, Body=parts["file"].get_payload(decode=True))  # type: ignore[union-attr, arg-type]
        arrive(put_event(key, put["VersionId"]))
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer with what the bucket allows to any page."""
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "GET, POST")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def url(
    cohort: Lms,  # noqa: F811 - the fixtures
    rosters: Machine,  # noqa: F811
    small_requests: None,  # noqa: F811
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The service with rosters, as the deployed one has them. To its page ten lines are many, and 2 s are 0.1 s."""

    def route(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's
        return (roster_handler if event["path"].startswith("/rosters") else lambda_handler)(event, context)

    monkeypatch.setattr("local.serve.lambda_handler", route)
    few = ("roster-form.js", "MOST_LINES = 10_000", "MOST_LINES = 10")
    serve_changed(monkeypatch, few, ("rosters.js", "EVERY_MILLISECONDS = 2000", "EVERY_MILLISECONDS = 100"))
    upload = bucket.upload
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Bucket)) as bucket_url:
        monkeypatch.setenv("ROSTER_BUCKET_URL", bucket_url.rstrip("/"))
        monkeypatch.setattr(bucket, "upload", lambda path: upload(path) | {"url": bucket_url})
        yield address


def hand_in(page: Page, lines: dict[str, str]) -> None:
    """Hand in lines that are to be sent as a roster."""
    choose_program(page)
    page.get_by_label("Or a CSV file").set_input_files(
        {"name": "fall.csv", "mimeType": "text/csv", "buffer": csv_of(lines).encode()}
    )
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"{len(lines)} lines: a roster")


def send(page: Page, lines: dict[str, str], *, only_check: bool, hold: str = "") -> None:
    """Hand lines in, and send them as a roster."""
    hand_in(page, lines)
    page.get_by_label("Only check").set_checked(only_check)
    page.get_by_label("Change nothing if more than").fill(hold)
    page.get_by_role("button", name="Send the roster").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Roster")


def state(page: Page, text: str) -> None:
    """Wait for a state of the roster on the page."""
    expect(page.locator("dl .badge")).to_have_text(text)


def test_a_roster_is_sent_and_watched(page: Page, rosters: Machine, cohort: Lms) -> None:  # noqa: F811
    """A large file goes as a roster; the page shows how far it is, what came of it, and saves its results."""
    send(page, pairs(19) | {"key19": "nobody"}, only_check=False)
    state(page, "being checked")

    def watched(items: Items) -> Items:
        for number, item in enumerate(items):
            if number == 2:
                state(page, "under way")
                expect(page.get_by_role("progressbar", name="Lines done")).to_be_visible()
                expect(page.get_by_text("of 20 lines done.")).not_to_have_text("0 of 20 lines done.")
            yield item

    rosters.walk(watched)
    state(page, "finished")
    expect(page.get_by_text("20 of 20 lines done.")).to_be_visible()
    expect(page.get_by_role("row")).to_have_text(["OutcomeLines", "Linked19", "No such username1"])
    assert linked(cohort) == 19
    page.route("https://rosters.s3.*/**", fetched)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="The failed lines (CSV)").click()
    assert "key19,nobody,user-not-found" in waiting.value.path().read_text()


def fetched(route: Route) -> None:
    """Answer for S3, which no browser can reach from here."""
    key = route.request.url.partition(".com/")[2].partition("?")[0]
    headers = {"Content-Disposition": "attachment", "Content-Type": "binary/octet-stream"}
    route.fulfill(status=200, headers=headers, body=bucket.read(key) or b"")


@pytest.mark.slow
def test_a_check_is_followed_by_the_linking(page: Page, rosters: Machine, cohort: Lms) -> None:  # noqa: F811
    """A roster that was only checked can be linked from its own page, without the file at hand."""
    send(page, pairs(), only_check=True)
    rosters.walk()
    state(page, "finished")
    expect(page.get_by_role("row").nth(1)).to_have_text("Can be linked20")
    assert linked(cohort) == 0
    page.get_by_role("button", name="Link the lines that can be linked").click()
    state(page, "being checked")
    rosters.walk()
    state(page, "finished")
    expect(page.get_by_role("row").nth(1)).to_have_text("Linked20")
    assert linked(cohort) == 20


@pytest.mark.slow
def test_enrollments_go_as_a_roster(page: Page, rosters: Machine, cohort: Lms) -> None:  # noqa: F811
    """A large file of enrollments goes as a roster too: checked first, then written from its own page."""
    go(page, f"program?program={PROGRAM}")
    page.get_by_text("Enroll keys by a file").click()
    lines = "".join(f"key{number},ended\n" for number in range(19))
    page.get_by_label("File of enrollments").set_input_files(
        {"name": "fall.csv", "mimeType": "text/csv", "buffer": f"student_key,status\n{lines}absent,ended\n".encode()}
    )
    page.get_by_label("What to do").select_option("PATCH")
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("heading", name="20 lines: a roster")).to_be_visible()
    page.get_by_role("button", name="Send the roster").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Roster")
    rosters.walk()
    state(page, "finished")
    expect(page.get_by_role("row")).to_have_text(["OutcomeLines", "Can be written19", "Not in this program1"])
    page.get_by_role("button", name="Write the lines that can be written").click()
    state(page, "being checked")
    rosters.walk()
    state(page, "finished")
    expect(page.get_by_role("row").nth(1)).to_have_text("As asked for19")
    assert cohort.rows("program_enrollments_programenrollment", "status") == [["ended"]] * 19 + [["enrolled"]]


@pytest.mark.slow
def test_a_roster_is_held(page: Page, rosters: Machine, cohort: Lms) -> None:  # noqa: F811
    """Where more lines would fail than is allowed, nothing is linked, and the page says so."""
    send(page, pairs(10) | {f"other{number}": f"nobody{number}" for number in range(10)}, only_check=False, hold="25")
    rosters.walk()
    state(page, "held")
    expect(page.locator(".notice")).to_contain_text("so nothing was changed")
    assert linked(cohort) == 0


@pytest.mark.slow
def test_a_roster_is_stopped_and_resumed(page: Page, rosters: Machine, cohort: Lms) -> None:  # noqa: F811
    """Stop ends a roster between batches; what was done stays done, and Resume does the rest."""
    send(page, pairs(), only_check=False)

    def stopped(items: Items) -> Items:
        for number, item in enumerate(items):
            if number == 1:
                page.get_by_role("button", name="Stop").click()
                expect(page.get_by_role("button", name="Stopping")).to_be_disabled()
            yield item

    rosters.walk(stopped)
    state(page, "stopped")
    assert 0 < linked(cohort) < 20
    page.get_by_role("button", name="Resume").click()
    state(page, "under way")
    rosters.walk()
    state(page, "finished")
    assert linked(cohort) == 20


@pytest.mark.slow
def test_the_rosters_of_a_program(page: Page, rosters: Machine) -> None:  # noqa: F811
    """Rosters that a registrar's system sent are listed, and a refused one shows the faults of its file."""
    arrive(drop("key0,user0\nkey0,user1\n", name="<b>nightly.csv"))
    rosters.walk()
    go(page, "rosters")
    choose_program(page)
    row = page.get_by_role("row").last
    expect(row).to_contain_text("<b>nightly.csv")
    expect(row).to_contain_text("refused")
    row.get_by_role("link").click()
    expect(page.get_by_text("line 2: external user key key0 provided multiple times, first in line 1")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("row").last).to_contain_text("refused")


@pytest.mark.slow
def test_the_service_is_away_meanwhile(page: Page, rosters: Machine) -> None:  # noqa: F811
    """A roster that is watched is asked for again after the service was away."""
    send(page, pairs(), only_check=False)
    page.route("**/rosters/*", lambda route: route.abort("connectionrefused"))
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    page.unroute("**/rosters/*")
    rosters.walk()
    state(page, "finished")
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.slow
def test_no_roster_with_that_id(page: Page) -> None:
    """An address of a roster that is not there says so."""
    page.goto(f"{page.url.partition('#')[0]}#/rosters?roster={PROGRAM}")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rosters")


@pytest.mark.slow
@pytest.mark.parametrize("ways", [WAYS[:1], pytest.param(WAYS[1:], marks=pytest.mark.slow)])
def test_everybody_can_use_rosters(tolerant_page: Page, rosters: Machine, ways: Ways) -> None:  # noqa: F811
    """The form, the list and each kind of roster have no barrier that axe knows, and fit a narrow screen."""
    page = tolerant_page
    hand_in(page, pairs(12))
    look(page, ways)
    page.get_by_role("button", name="Send the roster").click()
    state(page, "being checked")
    look(page, ways)
    rosters.walk()
    state(page, "finished")
    look(page, ways)
    arrive(drop("key0,user0\nkey0,user1\n", name="refused.csv"))
    rosters.walk()
    page.goto(f"{page.url.partition('#')[0]}#/rosters?program={PROGRAM}")
    expect(page.get_by_role("row")).to_have_count(3)
    look(page, ways)
    page.get_by_role("row").filter(has_text="refused.csv").get_by_role("link").click()
    state(page, "refused")
    look(page, ways)
