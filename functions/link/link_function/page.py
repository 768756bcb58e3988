"""The page for people: its files and settings, with the headers that keep it to itself.

Imported when somebody first asks for it, so that a linking request does not pay for it.
"""

import hashlib
import html
import json
import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aws_lambda_powertools.event_handler import Response

import lambda_runtime

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
ALWAYS_ASKED_FOR = "no-cache"
KEPT_FOR_A_YEAR = "public, max-age=31536000, immutable"  # an asset's address changes with the page


def index(base: str) -> Response[str]:
    """The document, for a browser that sees the API below the path `base`, which ends in a slash."""
    text = _files()[INDEX].replace("{{base}}", html.escape(base)).replace("{{version}}", _version())
    return _response(CONTENT_TYPES[".html"], text, ALWAYS_ASKED_FOR)


def asset(version: str, name: str) -> Response[str] | None:
    """A file that the document names, directly or not; None if this version of the page has no such file."""
    if version != _version() or name == INDEX or name not in _files():
        return None
    return _response(CONTENT_TYPES[Path(name).suffix], _files()[name], KEPT_FOR_A_YEAR)


def settings() -> Response[str]:
    """Which parts this service offers, and where a person signs in (null: no token is needed)."""
    offered = {"parts": _parts(), "sign_in": _sign_in()}
    return _response("application/json", json.dumps(offered), ALWAYS_ASKED_FOR)


def folder() -> Path:
    """Where the page's files are: in the layer, or at the top of the repository."""
    above = Path(lambda_runtime.__file__).parents
    return next(folder for folder in (above[2] / "page", above[3] / "page") if folder.is_dir())


@cache
def _files() -> Mapping[str, str]:
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(folder().iterdir())
        if file.suffix in CONTENT_TYPES
    }


@cache
def _version() -> str:
    return hashlib.sha256(repr(_files()).encode()).hexdigest()[:12]


def _parts() -> list[str]:
    return ["link", "program", "learner", "enrolling", *(["rosters"] if os.environ.get("ROSTER_BUCKET_URL") else [])]


def _sign_in() -> dict[str, str] | None:
    if not (url := os.environ.get("COGNITO_URL")):
        return None
    return {
        "url": url,
        "client_id": os.environ["COGNITO_CLIENT_ID"],
        "read_scope": os.environ["COGNITO_READ_SCOPE"],
        "link_scope": os.environ["COGNITO_LINK_SCOPE"],
    }


def _response(content_type: str, body: str, cache_control: str) -> Response[str]:
    headers = {
        "Cache-Control": cache_control,
        "Content-Security-Policy": _policy(),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(HTTPStatus.OK.value, content_type, body, dict(headers))


def _policy() -> str:
    """Own files only; besides the API, the page calls the sign-in service and the bucket that rosters go to."""
    elsewhere = [os.environ[name] for name in ("COGNITO_URL", "ROSTER_BUCKET_URL") if os.environ.get(name)]
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(["connect-src 'self'", *elsewhere]),
            "base-uri 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
