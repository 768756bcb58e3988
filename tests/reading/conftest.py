"""Reading over HTTP."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from tests.support import load_event


class Answer(NamedTuple):
    """A response: its status, its headers, and its text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it is
        """The body as JSON."""
        return json.loads(self.text)


class Get(Protocol):
    """Get a path with its query as API Gateway does: `get("/programs?a=b", accept="text/csv", method="HEAD")`."""

    def __call__(
        self, url: str, accept: str = "*/*", method: str = "GET", changes: Mapping[str, object] | None = None
    ) -> Answer: ...


def ask(url: str, accept: str = "*/*", method: str = "GET", changes: Mapping[str, object] | None = None) -> Answer:
    """Call the API as API Gateway does, below its stage."""
    path, query = urlsplit(url).path.removeprefix("/v1"), parse_qs(urlsplit(url).query, keep_blank_values=True)
    event = load_event("api-link")
    event |= {
        "httpMethod": method,
        "path": path,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "requestContext": event["requestContext"] | {"path": f"/v1{path}"},
        "headers": {"Accept": accept},
        "multiValueHeaders": {"Accept": [accept]},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "body": None,
    }
    answer = lambda_handler(event | dict(changes or {}), invocation())
    headers = {name: ", ".join(values) for name, values in answer["multiValueHeaders"].items()}
    return Answer(answer["statusCode"], headers, answer["body"])


@pytest.fixture
def get(lms: Lms) -> Get:
    """Call the API of the test's LMS."""
    return ask
