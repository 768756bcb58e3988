"""Signing in at a Cognito user pool, of which a small server in the tests plays the part."""

from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from local.serve import Gateway
from tests.page.cognito import CLIENT, LINK, READ, Pool, serve_pool
from tests.page.conftest import serving
from tests.page.support import Ways, check, each_way, look, summary

pytestmark = pytest.mark.browser


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool that the service's settings name."""
    pool = Pool()
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), serve_pool(pool))) as url:
        monkeypatch.setenv("COGNITO_URL", url.rstrip("/"))
        monkeypatch.setenv("COGNITO_CLIENT_ID", CLIENT)
        monkeypatch.setenv("COGNITO_READ_SCOPE", READ)
        monkeypatch.setenv("COGNITO_LINK_SCOPE", LINK)
        yield pool


@pytest.fixture
def url(url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> str:
    """The service behind an API Gateway that wants a token of the pool for all but the page."""
    answer = Gateway.answer

    def answer_if_allowed(gateway: Gateway) -> None:
        token = gateway.headers.get("Authorization", "").removeprefix("Bearer ")
        scopes = pool.tokens.get(token, "").split()
        is_open = gateway.path.partition("?")[0] == "/" or gateway.path.startswith("/page/")
        if is_open or LINK in scopes or (gateway.command == "GET" and READ in scopes):
            answer(gateway)
        else:
            gateway.send_error(403 if scopes else 401)

    monkeypatch.setattr(Gateway, "answer", answer_if_allowed)
    return url


def sign_in(page: Page) -> None:
    """Press the button of the page, not the one in its head."""
    page.locator("main").get_by_role("button", name="Sign in").click()


def test_signing_in_and_linking(page: Page, pool: Pool) -> None:
    """Without a sign-in there is nothing but the way to it; after it the page links with the token."""
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(0)
    sign_in(page)
    expect(page.locator("#person")).to_contain_text("registrar")
    asked = pool.requests[0]
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == f"openid {READ} {LINK}"
    check(page, "student-001,alice")
    page.get_by_role("button", name="Link 1 learner").click()
    expect(summary(page)).to_contain_text("1 line linked")


@pytest.mark.slow
def test_the_address_survives_signing_in(page: Page, url: str) -> None:
    """Whoever opens an address deep in the page is there after signing in, and the code is not in the address."""
    page.goto(f"{url}#/link?program=5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10")
    page.reload()
    sign_in(page)
    expect(page.get_by_label("Program", exact=True)).to_have_value("5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10")
    assert page.url == f"{url}#/link?program=5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"


def test_tokens_stay_in_memory(page: Page) -> None:
    """Nothing of a sign-in is left in the browser's storage or cookies, and a reload asks for it again."""
    sign_in(page)
    expect(page.locator("#person")).to_contain_text("registrar")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


FAULTS = [
    ("nonce", "another", "The answer belongs to another sign-in, so it is not used. Sign in again."),
    ("state", "another", "This sign-in was not begun in this window, so it is not used. Sign in again."),
    ("refusal", "Not <b>you</b>", "Signing in was refused: Not <b>you</b>"),
]


def test_a_sign_in_that_fails(page: Page, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal and an answer that belongs to another sign-in end at the way to sign in, with a reason."""
    for name, value, sentence in FAULTS:
        with monkeypatch.context() as patch:
            patch.setattr(pool, name, value)
            sign_in(page)
            expect(page.get_by_role("alert")).to_have_text(sentence)
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.slow
def test_a_code_of_somebody_else_is_not_used(page: Page, pool: Pool, url: str) -> None:
    """An address with a code that this window did not ask for signs nobody in."""
    page.goto(f"{url}?code=stolen&state=guessed")
    expect(page.get_by_role("alert")).to_contain_text("not begun in this window")
    assert pool.tokens == {}
    assert page.url == url


@pytest.mark.slow
def test_a_person_without_a_right_to_the_service(page: Page, pool: Pool) -> None:
    """Whoever signs in without one of the scopes learns whom to ask, and can sign out again."""
    pool.scopes = "openid"
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("have no right to this service")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_person_who_may_only_read(page: Page, pool: Pool) -> None:
    """Whoever may read but not link is informed, and cannot press Check."""
    pool.scopes = f"openid {READ}"
    sign_in(page)
    expect(page.get_by_text("Your sign-in is for reading only")).to_be_visible()
    expect(page.get_by_role("button", name="Check")).to_be_disabled()


@pytest.mark.slow
def test_a_token_is_renewed_before_it_expires(page: Page, pool: Pool) -> None:
    """A token that is about to expire is renewed without a word."""
    pool.expires_in = 30
    sign_in(page)
    check(page, "student-001,alice")
    expect(summary(page)).to_contain_text("1 can be linked")
    assert len(pool.tokens) > 1


@pytest.mark.slow
def test_a_sign_in_that_expires(page: Page, pool: Pool) -> None:
    """Where a token cannot be renewed, the page says so, keeps what is on it, and shows the way to sign in."""
    pool.renews = False
    sign_in(page)
    expect(page.get_by_label("Program", exact=True)).to_be_visible()
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3_600_000; }")
    check(page, "student-001,alice")
    expect(summary(page)).to_contain_text("Your sign-in has expired. Sign in again")
    expect(page.get_by_label("Student keys and usernames")).to_have_value("student-001,alice")
    expect(page.locator("#person").get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.slow
def test_signing_out(page: Page) -> None:
    """Signing out ends at the way to sign in, also after a reload."""
    sign_in(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def refused(page: Page, pool: Pool) -> None:
    """A sign-in that the pool refused."""
    pool.refusal = "Not you"
    sign_in(page)
    expect(page.get_by_role("alert")).to_be_visible()


def without_a_right(page: Page, pool: Pool) -> None:
    """A sign-in that opens nothing."""
    pool.scopes = "openid"
    sign_in(page)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def reading_only(page: Page, pool: Pool) -> None:
    """Linking, for a person who may only read."""
    pool.scopes = f"openid {READ}"
    sign_in(page)
    expect(page.get_by_role("button", name="Check")).to_be_disabled()


def expired(page: Page, pool: Pool) -> None:
    """A check after the sign-in has expired."""
    pool.renews = False
    sign_in(page)
    expect(page.get_by_label("Program", exact=True)).to_be_visible()
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3_600_000; }")
    check(page, "student-001,alice")
    expect(page.locator("#person").get_by_role("button", name="Sign in")).to_be_visible()


VIEWS: dict[str, Callable[[Page, Pool], None]] = {
    "before": lambda *_: None,
    "refused": refused,
    "without a right": without_a_right,
    "reading only": reading_only,
    "expired": expired,
}


@each_way(VIEWS, alike=["before", "without a right", "reading only", "expired"])
def test_everybody_can_sign_in(tolerant_page: Page, pool: Pool, view: str, ways: Ways) -> None:
    """The way to sign in, and what comes of it, have no barrier that axe knows, and fit a narrow screen."""
    VIEWS[view](tolerant_page, pool)
    look(tolerant_page, ways)


@pytest.mark.slow
def test_signing_in_with_the_keyboard(page: Page) -> None:
    """The button is the first stop in the content, and Enter presses it."""
    page.get_by_role("heading", name="Sign in").wait_for()
    page.locator("main").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#person")).to_contain_text("registrar")
