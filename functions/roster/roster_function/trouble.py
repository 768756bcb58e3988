"""Why a request failed for good, for people who look at the roster."""

import json
import re
from typing import Any

from roster_function import bucket

# Whose words are about the database or about the options of a roster; those of others may quote keys.
SPEAKING = {"LinkingUnavailable": "", "DatabaseNotReady": "", "InvalidRequest": r"[\w ]+\. (course_key|idp): "}


def note(roster_id: str, error: dict[str, str]) -> dict[str, Any]:
    """Keep the reason that Step Functions gives: the error's name, and a cause that is JSON if it is the function's."""
    name = error["Error"]
    message = _message(error["Cause"])
    may_be_shown = name in SPEAKING and re.match(SPEAKING[name], message)
    reason = f"{name}: {message}" if may_be_shown else f"A request failed with {name}."
    bucket.write(bucket.run(roster_id, bucket.TROUBLE), reason.encode())
    return {}


def _message(cause: str) -> str:
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, LookupError, TypeError):
        return cause
