"""A real browser on the page of the local service, with a real database behind it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from local.lms import Lms
from local.roster import load_sample_roster
from local.serve import Gateway

VIOLATIONS = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => violations.push([event.violatedDirective, event.blockedURI]));
"""


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Serve from a thread; the URL."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def sample(lms: Lms) -> Lms:
    """An LMS with the sample roster."""
    load_sample_roster(lms)
    return lms


@pytest.fixture
def url(sample: Lms) -> Iterator[str]:
    """The service in front of the sample roster, as `make run` serves it."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Gateway)) as url:
        yield url


@pytest.fixture
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser window of its own, which remembers what the policy of the page forbade."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(15_000)
    context.add_init_script(VIOLATIONS)
    yield context
    context.close()


@pytest.fixture
def messages() -> list[str]:
    """What the page wrote to the console, or did not catch."""
    return []


@pytest.fixture
def page(window: BrowserContext, url: str, messages: list[str]) -> Iterator[Page]:
    """The page, just opened. In the end it has written nothing to the console, and its policy was kept."""
    page = window.new_page()
    page.on("console", lambda message: messages.extend(_worth_a_look(message)))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield page
    assert page.evaluate("window.violations") == []
    assert messages == []


@pytest.fixture
def tolerant_page(chromium: Browser, url: str) -> Iterator[Page]:
    """The page with its policy off, so that axe can look at it from inside."""
    with chromium.new_context(bypass_csp=True, viewport={"width": 1100, "height": 900}) as window:
        page = window.new_page()
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        yield page


def _worth_a_look(message: ConsoleMessage) -> list[str]:
    """All but what browsers themselves note of each request that is no success: 422 is an answer like others."""
    return [] if message.text.startswith("Failed to load resource:") else [message.text]
