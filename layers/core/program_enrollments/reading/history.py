"""What changed from one row of an object's history to the next."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Literal

from program_enrollments.reading.answers import Change, Difference

SHOWN_ROWS = 20
WORDS: dict[str, Literal["created", "changed", "deleted"]] = {"+": "created", "~": "changed", "-": "deleted"}


def changes(rows: Sequence[dict[str, Any]] | None) -> list[Change]:
    """Say what each of the newest rows of a history changed, newest first.

    A row has `when`, `type` (django-simple-history's `+`, `~` or `-`), `who` and its `fields`. One more row than is
    shown has to be there if there is one, so that what the last one changed can be said.
    """
    rows = rows or ()
    return [_change(row, earlier) for row, earlier in zip_longest(rows, rows[1:])][:SHOWN_ROWS]


def _change(row: dict[str, Any], earlier: dict[str, Any] | None) -> Change:
    return {"when": row["when"], "what": WORDS[row["type"]], "who": row["who"], "changes": _differences(row, earlier)}


def _differences(row: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Difference]:
    if earlier is None and row["type"] != "+":
        return {field: {"after": value} for field, value in row["fields"].items()}
    before = earlier["fields"] if earlier and row["type"] != "+" else dict.fromkeys(row["fields"])
    return {
        field: {"before": before[field], "after": value}
        for field, value in row["fields"].items()
        if value != before[field]
    }
