"""A real browser on the page of the local service, with a real database behind it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

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


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where a worker's tests find the service, as `make run` serves it: one URL, so that a browser keeps its files."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Gateway)) as url:
        yield url


@pytest.fixture
def url(sample: Lms, address: str) -> str:
    """The service in front of the sample roster."""
    return address


@pytest.fixture(scope="session")
def tab(chromium: Browser) -> Iterator[Page]:
    """A worker's browser tab, which remembers what the policy of a page forbade."""
    with chromium.new_context(locale="en-GB", timezone_id="UTC") as window:
        window.set_default_timeout(15_000)
        window.add_init_script(VIOLATIONS)
        yield window.new_page()


@pytest.fixture(scope="session")
def console(tab: Page) -> list[str]:
    """What pages in the tab wrote to the console, or did not catch."""
    messages: list[str] = []
    tab.on("console", lambda message: messages.extend(_worth_a_look(message)))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    return messages


@pytest.fixture
def page(tab: Page, url: str, console: list[str]) -> Iterator[Page]:
    """The page, just opened. In the end its console is empty, its policy was kept, and the browser keeps nothing."""
    console.clear()
    with opened(tab, url):
        yield tab
        left = tab.evaluate("[violations, localStorage.length, sessionStorage.length, document.cookie]")
        assert left == [[], 0, 0, ""]
        assert console == []


@pytest.fixture(scope="session")
def tolerant_tab(chromium: Browser) -> Iterator[Page]:
    """A worker's tab in which the policy of a page is off, so that axe can look at it from inside."""
    with chromium.new_context(bypass_csp=True) as window:
        yield window.new_page()


@pytest.fixture
def tolerant_page(tolerant_tab: Page, url: str) -> Iterator[Page]:
    """The page with its policy off."""
    with opened(tolerant_tab, url):
        yield tolerant_tab


@contextmanager
def opened(tab: Page, url: str) -> Iterator[None]:
    """Open the page in a tab, with the files that the browser kept; leave it for a document that does nothing.

    That one is of the same origin: from about:blank a browser would go to the page in a new process, twice as slowly.
    """
    tab.set_viewport_size({"width": 1100, "height": 900})
    tab.goto(url)
    try:
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        yield
    finally:
        tab.unroute_all()
        tab.emulate_media(color_scheme="null")
        tab.goto(f"{url}page/settings.json")
        tab.evaluate("sessionStorage.clear(); localStorage.clear()")


def _worth_a_look(message: ConsoleMessage) -> list[str]:
    """All but what browsers themselves note of each request that is no success: 422 is an answer like others."""
    return [] if message.text.startswith("Failed to load resource:") else [message.text]
