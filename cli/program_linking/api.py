"""The deployed API, as the command line reaches it: with the caller's AWS credentials, and patient where it is busy."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from program_enrollments import LinkingUnavailable

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
ANSWERS = {HTTPStatus.OK, HTTPStatus.MULTI_STATUS, HTTPStatus.UNPROCESSABLE_ENTITY}
# A batch that was under way when one of these came may be done or not; sending it again is safe either way.
BUSY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
HINTS: dict[int, str] = {
    HTTPStatus.FORBIDDEN: " Sign in with AWS credentials that may call it.",
    HTTPStatus.NOT_FOUND: " Look at --url: it ends with the API's stage.",
}
NO_CREDENTIALS = "There are no AWS credentials to sign with: sign in, or set AWS_PROFILE."
NO_REGION = "The URL names no AWS region: set AWS_REGION."
TRIES = 5
WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 60
# API Gateway gives up after 29.
ANSWER_SECONDS = 60

type Sign = Callable[[bytes], Mapping[str, str]]


class ApiRefused(Exception):
    """The API does not carry the request out, and would not if it were sent again."""


class TooLarge(ApiRefused):
    """The request holds too many keys."""


def endpoint(url: str) -> str:
    """Where the API at a URL takes links; raise `ValueError` where that would send keys unprotected."""
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS)
    ):
        raise ValueError(f"'{url}' is not an https:// URL (plain http:// is for localhost alone)")
    return url.rstrip("/").removesuffix("/links") + "/links"


def connect_to_api(
    url: str, note: Callable[[str], None]
) -> Callable[[Mapping[str, object]], dict[str, tuple[str, str]]]:
    """Make the function that sends a request to an endpoint and returns the code and message of each failed key.

    It raises `TooLarge` where the keys have to be sent in several requests, `ApiRefused` where the API refuses them for
    another reason, and `LinkingUnavailable` where it is out of reach or stays busy; `note` is told of each wait.
    """
    sign = _signer(url) if url.startswith("https://") else lambda _: {}

    def link(request: Mapping[str, object]) -> dict[str, tuple[str, str]]:
        body = json.dumps(request, ensure_ascii=False).encode()
        return _failures(*_send_patiently(url, body, sign, note))

    return link


def _send_patiently(url: str, body: bytes, sign: Sign, note: Callable[[str], None]) -> tuple[int, bytes]:
    for tries_left in reversed(range(TRIES)):
        status, headers, answer = _send(url, body, sign(body))
        if status not in BUSY:
            return status, answer
        if tries_left:
            seconds = _retry_after(headers)
            note(f"The API is busy ({status}): trying again in {seconds} s.")
            time.sleep(seconds)
    raise LinkingUnavailable(f"The API stays busy: it answered {status} {TRIES} times. {_message(answer)}")


def _send(url: str, body: bytes, signature: Mapping[str, str]) -> tuple[int, Message, bytes]:
    headers = {"Content-Type": "application/json", **signature}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - `endpoint` saw to the scheme
    try:
        with urllib.request.build_opener().open(request, timeout=ANSWER_SECONDS) as response:
            return response.status, response.headers, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()
    except (OSError, HTTPException) as error:
        raise LinkingUnavailable(
            f"The API at {url} cannot be reached: {getattr(error, 'reason', error)}. Look at --url and the network."
        ) from error


def _retry_after(headers: Message) -> int:
    seconds = headers.get("Retry-After") or ""
    return min(int(seconds), LONGEST_WAIT_SECONDS) if seconds.isdecimal() else WAIT_SECONDS


def _failures(status: int, answer: bytes) -> dict[str, tuple[str, str]]:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise TooLarge(f"The API answered 413: {_message(answer)}")
    if status not in ANSWERS:
        raise ApiRefused(f"The API answered {status}: {_message(answer)}{HINTS.get(status, '')}")
    try:
        fields = json.loads(answer)
        return {key: (fields["error_codes"][key], message) for key, message in fields["errors"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ApiRefused("What answered is not the linking API. Look at --url.") from error


def _message(answer: bytes) -> str:
    """What a refusal says, its details included; nothing where it is not the API's own or API Gateway's."""
    try:
        fields: dict[str, Any] = json.loads(answer)
        details = [f"{detail['where']}: {detail['what']}." for detail in fields.get("details", ())]
        return " ".join([str(fields.get("message") or fields.get("Message") or ""), *details])
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _signer(url: str) -> Sign:
    """Make the function that signs a body for API Gateway (AWS Signature Version 4)."""
    try:
        # The Lambda never signs, and a person who links in a database need not have it.
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415
    except ImportError as error:
        raise ApiRefused("Signing needs botocore: install it, or boto3.") from error
    session = Session()

    def sign(body: bytes) -> Mapping[str, str]:
        try:
            region = _region(url) or os.environ.get("AWS_REGION") or session.get_config_variable("region")
            credentials = session.get_credentials()
            if not region or not credentials:
                raise ApiRefused(NO_CREDENTIALS if region else NO_REGION)
            request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
        except (BotoCoreError, ClientError) as error:
            raise ApiRefused(f"{NO_CREDENTIALS} ({error})") from error
        return dict(request.headers.items())

    return sign


def _region(url: str) -> str | None:
    """The region that API Gateway's own host names bear; a domain of one's own bears none."""
    found = re.search(r"[.]execute-api[.]([a-z0-9-]+)[.]", urlsplit(url).hostname or "")
    return found and found[1]
