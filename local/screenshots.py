"""Pictures of the page for the documentation: `python -m local.screenshots` writes them to docs/images."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from local.lms import PROGRAM
from local.roster import SAMPLE_REQUEST
from local.serve import Gateway, Server, sample_database
from local.server import forget_surroundings

CHROMIUM = "/usr/bin/chromium"
IMAGES = Path(__file__).parent.parent / "docs/images"
LINES = "\n".join(f"{key},{username}" for key, username in SAMPLE_REQUEST["external_keys_to_usernames"].items())  # type: ignore[attr-defined]


def main() -> None:
    """Take a picture of each part, of the sample roster."""
    IMAGES.mkdir(exist_ok=True)
    forget_surroundings()
    with sample_database(), served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 900}, locale="en-GB", timezone_id="UTC")
        page.goto(url)
        take_link(page)
        take(page, url, "learner", "#/learner?key=student-006", 1050)
        browser.close()


def take_link(page: Page) -> None:
    """Link: lines that were checked."""
    page.get_by_label("Program", exact=True).select_option(PROGRAM)
    page.get_by_label("Student keys and usernames").fill(LINES)
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Link 3 learners").wait_for()
    page.screenshot(path=IMAGES / "link.png", full_page=True, clip={"x": 0, "y": 0, "width": 1000, "height": 1480})
    page.get_by_role("button", name="Link 3 learners").click()
    page.get_by_role("heading", name="Linked").wait_for()


def take(page: Page, url: str, name: str, address: str, height: int) -> None:
    """A part at its address."""
    page.set_viewport_size({"width": 1000, "height": height})
    page.goto(url + address)
    page.get_by_role("table").first.wait_for()
    page.screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def served() -> Iterator[str]:
    """The service, with whatever it logs kept out of the terminal; its URL."""
    with Server(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
