"""What tests share beside fixtures: events, and the types of what the fixtures give."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from program_enrollments.linking.queries import TABLES

# Reads the records that were printed since it was called last; a metric is a record too, the one with `_aws` in it.
type Printed = Callable[[], list[dict[str, Any]]]

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


def call_api(body: object, **changes: object) -> tuple[int, dict[str, Any]]:
    """Call POST /links as API Gateway does, with a body that is text already or becomes JSON."""
    text = body if isinstance(body, str | None) else json.dumps(body)
    answer = lambda_handler(load_event("api-link") | {"body": text} | changes, invocation())
    return answer["statusCode"], json.loads(answer["body"])


def snapshot(lms: Lms) -> dict[str, list[list[Any]]]:
    """All rows of all tables that linking may look at."""
    return {table: sorted(lms.rows(table), key=str) for table in TABLES}


def refuse(
    lms: Lms, table: str, condition: str, message: str = "refused by a trigger", sqlstate: str = "P0001"
) -> None:
    """Let a trigger refuse each new or changed row of a table that meets the condition, which names it NEW."""
    lms.run(f"""
        CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{message}' USING ERRCODE = '{sqlstate}';
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table}
        FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse_{table}()
    """)
