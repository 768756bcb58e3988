"""What the tests of the API share: requests with faults, and what is printed."""

from typing import Any

from local.lms import PROGRAM


def body(**changes: object) -> dict[str, Any]:
    """A request with changed or additional fields; what is changed to ... is left out."""
    fields = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}} | changes
    return {name: value for name, value in fields.items() if value is not ...}


def keys(keys_to_usernames: object) -> dict[str, Any]:
    """A request for other keys and usernames."""
    return body(external_keys_to_usernames=keys_to_usernames)


def refused(answer: tuple[int, dict[str, Any]], status: int = 400) -> str:
    """Hold that the request was refused with a message and details; return where the fault is."""
    code, problem = answer
    assert (code, sorted(problem)) == (status, ["details", "message"])
    assert problem["message"].strip()
    assert problem["details"]
    assert all(detail["where"].strip() and detail["what"].strip() for detail in problem["details"])
    return str(problem["details"][0]["where"])


def logged(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log records among what was printed."""
    return [record for record in records if "_aws" not in record]


def measured(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics among what was printed, without their time."""
    metrics = [record for record in records if "_aws" in record]
    for record in metrics:
        assert record["_aws"].pop("Timestamp") > 1_700_000_000_000
    return metrics
