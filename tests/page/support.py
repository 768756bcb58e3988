"""What a person does on the page, in few words."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Download, Locator, Page, expect

from link_function.page import _files
from local.lms import PROGRAM

type Ways = Sequence[tuple[int, Literal["light", "dark"]]]

WAYS: Ways = [(1100, "light"), (360, "dark"), (1100, "dark"), (360, "light")]

AXE = Path(__file__).parents[2] / ".tools/axe/node_modules/axe-core/axe.min.js"


def check(page: Page, lines: str) -> None:
    """Paste lines and check them."""
    choose_program(page)
    page.get_by_label("Student keys and usernames").fill(lines)
    page.get_by_role("button", name="Check").click()


def choose_program(page: Page, program: str = PROGRAM) -> None:
    """Choose a program from the list, or type its UUID if there is none."""
    field = page.get_by_label("Program", exact=True)
    if field.evaluate("element => element.tagName") == "SELECT":
        field.select_option(program)
    else:
        field.fill(program)


def outcomes(page: Page) -> list[list[str]]:
    """The rows of the table of outcomes: line, key, username, outcome, message."""
    cells = "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText))"
    return list(page.locator("tbody tr").evaluate_all(cells))


def summary(page: Page) -> Locator:
    """The sentence that sums up what became of the lines."""
    return page.locator(".outcome .notice")


def saved(page: Page, button: str) -> tuple[str, bytes]:
    """Press a button that saves a file; its name and bytes."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    download: Download = waiting.value
    return download.suggested_filename, Path(download.path()).read_bytes()


def go(page: Page, part: str) -> None:
    """Go to an address within the page, and wait until something is there."""
    page.goto(f"{page.url.partition('#')[0]}#/{part}")
    name = {"link": "Link", "program": "Program", "learner": "Learner", "rosters": "Roster"}[part.partition("?")[0]]
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def is_within_its_width(page: Page) -> bool:
    """Whether everything is within a window of 320 pixels, which the page then has."""
    page.set_viewport_size({"width": 320, "height": 700})
    return bool(page.evaluate("document.scrollingElement.scrollWidth") <= 320)


def each_way(views: Iterable[str], *, alike: Collection[str]) -> pytest.MarkDecorator:
    """Let axe look at each view wide and narrow, in light and in dark.

    All but the slow tests look in one way, which changes from view to view, and not at views that are like others.
    """
    return pytest.mark.parametrize(
        ("view", "ways"),
        [
            pytest.param(view, ways, id=f"{view}, {name}", marks=marks)
            for number, view in enumerate(views)
            for name, ways, marks in (
                ("in one way", [WAYS[number % len(WAYS)]], pytest.mark.slow if view in alike else ()),
                ("in the others", [*WAYS[: number % len(WAYS)], *WAYS[number % len(WAYS) + 1 :]], pytest.mark.slow),
            )
        ],
    )


def look(page: Page, ways: Ways) -> None:
    """Hold that nothing on the page as it stands is in anybody's way."""
    assert barriers(page, ways) == []
    assert is_within_its_width(page)


def barriers(page: Page, ways: Ways) -> list[tuple[str, list[str]]]:
    """What axe finds on the page as it stands, in each of the ways: each rule with the elements."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make test installs it with npm")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = []
    for width, scheme in ways:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found += page.evaluate("async () => (await axe.run({ resultTypes: ['violations'] })).violations")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


def serve_changed(monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str, str]) -> None:
    """Serve the page's files with changes (file, old words, new words), below addresses of their own."""
    files = dict(_files())
    for name, old, new in changes:
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    version = f"changed{hash(changes)}"
    monkeypatch.setattr("link_function.page._files", lambda: files)
    monkeypatch.setattr("link_function.page._version", lambda: version)
