"""The routes of rosters in the OpenAPI document: what it promises is what the roster function does."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.link.app import lambda_handler
from functions.roster.app import lambda_handler as roster_handler
from local.serve import Gateway
from tests.api.test_openapi import schemathesis
from tests.gateway import serving
from tests.rosters.support import Machine

EXAMPLES = 20
# A schema cannot foresee which rosters there are, in which states, and which options go together.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["200", "201", "400", "404", "409"]

[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405"]
"""


@pytest.fixture
def url(rosters: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service with rosters on localhost."""

    def route(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's
        return (roster_handler if event["path"].startswith("/rosters") else lambda_handler)(event, context)

    monkeypatch.setattr("local.serve.lambda_handler", route)
    monkeypatch.setenv("ROSTER_BUCKET_URL", "https://rosters.s3.eu-west-1.amazonaws.com")
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Gateway)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_schemathesis(url: str, tmp_path: Path) -> None:
    """Schemathesis sends what the document allows and what it does not, and every answer is as documented."""
    schemathesis(url, tmp_path, CONFIGURATION, EXAMPLES, "--include-path-regex", "^/rosters")
