"""The page as the API serves it: its addresses, its headers, and who pays for it."""

import gzip
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from functions.link.app import lambda_handler
from link_function import page
from local.invocation import invocation
from tests.support import load_event

# A linking request as the payload, answered without a database; then what was imported for it.
LINK_NOTHING = """
import sys
from functions.link.app import lambda_handler
from local.invocation import invocation
lambda_handler({"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "external_keys_to_usernames": {}}, invocation())
sys.exit("link_function.page" in sys.modules)
"""


def get(path: str, outside: str = "", method: str = "GET") -> dict[str, Any]:
    """Ask the API for a path, which the caller sees as another one."""
    event = load_event("api-link") | {"path": path, "httpMethod": method, "body": None}
    event["requestContext"] = event["requestContext"] | {"path": outside or path}
    return lambda_handler(event, invocation())


@pytest.mark.parametrize(
    ("outside", "base"), [("/", "/"), ("/v1/", "/v1/"), ("/v1", "/v1/"), ("/a&b/", "/a&amp;b/"), ('/"/', "/&quot;/")]
)
def test_the_page_knows_its_address(outside: str, base: str) -> None:
    """The document names the path that it is seen below, so that its files are found there."""
    answer = get("/", outside)
    assert answer["statusCode"] == 200
    assert f'<base href="{base}">' in answer["body"]


def test_files_are_kept_and_the_document_is_not() -> None:
    """A browser keeps the files, whose addresses change with the page, and asks for the document each time."""
    document = get("/")
    assert document["multiValueHeaders"]["Cache-Control"] == ["no-cache"]
    for file in re.findall(r'(?:href|src)="(page/[^"]+)"', document["body"]):
        answer = get(f"/{file}")
        assert answer["statusCode"] == 200
        assert answer["multiValueHeaders"]["Cache-Control"] == ["public, max-age=31536000, immutable"]


@pytest.mark.parametrize(
    "path", ["/page/000000000000/main.js", "/page/VERSION/index.html", "/page/VERSION/..%2F..%2Fetc", "/page/main.js"]
)
def test_nothing_else_is_given_away(path: str) -> None:
    """Files of another version, the template of the document, and what is not a file of the page: 404."""
    [version] = set(re.findall(r"page/(\w+)/", get("/")["body"]))
    assert get(path.replace("VERSION", version))["statusCode"] == 404


@pytest.mark.parametrize("path", ["/", "/page/settings.json"])
def test_headers_keep_the_page_to_itself(path: str) -> None:
    """Nothing inline and nothing from elsewhere runs, no other page frames it, and its address stays with it."""
    headers = get(path)["multiValueHeaders"]
    policy = headers["Content-Security-Policy"][0].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"][0]
    assert headers["X-Content-Type-Options"] == ["nosniff"]
    assert headers["Referrer-Policy"] == ["no-referrer"]
    assert headers["Cross-Origin-Opener-Policy"] == ["same-origin"]


def test_the_policy_names_whom_the_page_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where people sign in and where rosters go to is allowed, if the settings name it."""
    monkeypatch.setenv("COGNITO_URL", "https://sign-in.example.edu")
    monkeypatch.setenv("ROSTER_BUCKET_URL", "https://bucket.s3.eu-west-1.amazonaws.com")
    policy = get("/")["multiValueHeaders"]["Content-Security-Policy"][0]
    assert "connect-src 'self' https://sign-in.example.edu https://bucket.s3.eu-west-1.amazonaws.com;" in policy


@pytest.mark.parametrize("path", ["/", "/page/settings.json"])
def test_the_page_is_only_read(path: str) -> None:
    """Another method than GET is refused with the one that is allowed."""
    answer = get(path, method="POST")
    assert answer["statusCode"] == 405
    assert answer["multiValueHeaders"]["Allow"] == ["GET"]


def test_linking_does_not_pay_for_the_page() -> None:
    """An environment that answered a linking request has not imported the page."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", LINK_NOTHING], env=environment, check=True)


def test_the_page_is_small() -> None:
    """All files together take less than 60 KB when compressed, as they are over the wire."""
    files = [file.read_bytes() for file in page.folder().iterdir()]
    assert sum(len(gzip.compress(data)) for data in files) < 60_000
