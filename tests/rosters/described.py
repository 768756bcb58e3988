"""Hold what the roster function takes and answers against the OpenAPI document, which LinkFunction gives away."""

import json
import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from functions.link.app import lambda_handler
from local.invocation import invocation
from tests.support import load_event

JSON = "application/json"


@cache
def document() -> dict[str, Any]:
    """The document of a service with rosters."""
    event = load_event("api-link") | {"path": "/openapi.json", "httpMethod": "GET", "body": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROSTER_BUCKET_URL", "https://rosters.s3.eu-west-1.amazonaws.com")
        answer = lambda_handler(event, invocation())
    return dict(json.loads(answer["body"]))


def check_answer(method: str, path: str, body: object, status: int, answer: dict[str, Any]) -> None:
    """Hold that the answer is one that the document names, and so is the body if it was taken."""
    operation = operation_at(method, path)
    if operation is None:
        assert status in {404, 405}
        return
    assert str(status) in operation["responses"], f"{method} {path} answers {status}"
    response = operation["responses"][str(status)]
    validator(response).validate(answer)
    assert answer.keys() <= properties(response)
    if "requestBody" in operation and status == 201:
        validator(operation["requestBody"]).validate(body)


def operation_at(method: str, path: str) -> dict[str, Any] | None:
    """What the document says of a method of a path; None if it does not have it."""
    for template, operations in document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return dict(operations).get(method.lower())
    return None


def properties(described: dict[str, Any]) -> set[str]:
    """The names of all fields that a body may have."""
    name = described["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    return set(document()["components"]["schemas"][name]["properties"])


def validator(described: dict[str, Any]) -> Draft202012Validator:
    """What validates a body."""
    schema = described["content"][JSON]["schema"] | {"components": document()["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())
