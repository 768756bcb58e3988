"""What changed from one row of a history to the next."""

from typing import Any

from program_enrollments.reading.history import changes


def row(number: int, type_: str = "~", **fields: object) -> dict[str, Any]:
    """A row of a history; a later one has a larger number."""
    return {"when": f"2026-01-01T00:00:{number:02}+00:00", "type": type_, "who": None, "fields": fields}


def test_each_row_says_what_it_changed() -> None:
    """A new object's row has its first values, a later row what differs from the row before it."""
    newest, middle, oldest = changes(
        [
            row(3, mode="masters", is_active=False),
            row(2, mode="masters", is_active=True),
            row(1, "+", mode="audit", is_active=True),
        ]
    )
    assert newest == {
        "when": "2026-01-01T00:00:03+00:00",
        "what": "changed",
        "who": None,
        "changes": {"is_active": {"before": True, "after": False}},
    }
    assert middle["changes"] == {"mode": {"before": "audit", "after": "masters"}}
    assert (oldest["what"], oldest["changes"]) == (
        "created",
        {"mode": {"before": None, "after": "audit"}, "is_active": {"before": None, "after": True}},
    )


def test_what_nobody_wrote_is_not_made_up() -> None:
    """A history that begins later than its object does not say what its oldest row changed, only what came of it."""
    assert changes([row(1, mode="masters")])[0]["changes"] == {"mode": {"after": "masters"}}
    assert changes([]) == changes(None) == []


def test_a_row_that_changed_nothing() -> None:
    """A row that is like the one before it is there, without changes."""
    assert changes([row(2, mode="audit"), row(1, "+", mode="audit")])[0]["changes"] == {}


def test_an_object_that_was_deleted_and_made_again() -> None:
    """A deletion is named, and what was made after it has all its values again."""
    made, deleted, _ = changes([row(3, "+", mode="audit"), row(2, "-", mode="audit"), row(1, "+", mode="audit")])
    assert (deleted["what"], deleted["changes"]) == ("deleted", {})
    assert made["changes"] == {"mode": {"before": None, "after": "audit"}}


def test_twenty_rows_are_shown() -> None:
    """The newest 20 rows are shown, the last of them with what it changed; the one behind it only helps to say so."""
    shown = changes([row(number, mode=str(number)) for number in range(30, 9, -1)])
    assert len(shown) == 20
    assert shown[-1]["changes"] == {"mode": {"before": "10", "after": "11"}}
