"""What tests share beside fixtures: events, and the types of what the fixtures give."""

import json
from pathlib import Path
from typing import Any, Protocol

EVENTS = Path(__file__).parent.parent / "events"


class Invoke(Protocol):
    """Invoke the Lambda directly: `invoke({key: username, …}, option=…)` gives the bare answer."""

    def __call__(self, external_keys_to_usernames: dict[str, str], **options: object) -> dict[str, Any]: ...


class Post(Protocol):
    """Call POST /links as API Gateway does: `post(body, **changed_parts_of_the_event)` gives status and answer."""

    def __call__(self, body: object, **changes: object) -> tuple[int, dict[str, Any]]: ...


def load_event(name: str) -> dict[str, Any]:
    """One of the events that a person would use too."""
    return dict(json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8")))
