"""The service's API, as the command reaches it: signed or with a token, and patient if it is busy."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from program_linking.output import note
from program_linking.signing import Signed
from program_linking.stopped import ApiRefused, NotFound, NotThisApi, Stopped, TooLarge
from program_linking.urls import is_aws_here, is_local

# What was under way when one of these came may be done or not; sending it again is safe either way.
BUSY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: " Look at --token: it may have expired, or not be for this API.",
    HTTPStatus.FORBIDDEN: " Look at --url, which ends with the API's stage, and at whether your AWS credentials or your"
    " --token may call it.",
    HTTPStatus.NOT_FOUND: " Look at --url, which ends with the API's stage.",
}
TRIES = 5
WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 60
ANSWER_SECONDS = 60.0  # API Gateway gives up after 29


@contextmanager
def connected_api(url: str, token: str | None) -> Iterator["Api"]:
    """The API at a URL that `base_url` gave: with a token, the caller's AWS credentials or, on localhost, neither.

    Proxies and certificates are what the environment says, but localhost is reached directly. Redirects are not
    followed: they would carry the caller's signature elsewhere.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    auth = None if token or (is_local(url) and not is_aws_here(url)) else Signed(url)
    try:
        client = httpx.Client(auth=auth, headers=headers, timeout=ANSWER_SECONDS, trust_env=not is_local(url))
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        raise Stopped(
            f"HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE or SSL_CERT_DIR has a value that is of no use: {error}."
        ) from error
    with client:
        yield Api(client, url)


@dataclass(frozen=True)
class Api:
    """The API, connected."""

    client: httpx.Client
    url: str

    def call(  # noqa: PLR0913 - what a request has
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        accept: str = "application/json",
        answers: Collection[int] = (HTTPStatus.OK,),
    ) -> httpx.Response:
        """Send a request, and again while the API is busy; return its answer.

        The path is relative to the stage, and quoted. The body is sent as JSON. Raise `TooLarge`, `NotFound` or
        `ApiRefused` unless the status is one of `answers`, and `Stopped` if the API is out of reach or stays busy.
        """
        # Not httpx's own way to write a query, whose + for a space is not what AWS signs.
        url = f"{self.url}/{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {"Accept": accept}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        answer = self._send_patiently(lambda: self.client.request(method, url, headers=headers, content=content))
        if answer.status_code not in answers:
            raise _refusal(answer)
        return answer

    def ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - see `call`
        """Send a request as `call` does; return the JSON object that its answer is, or raise `NotThisApi`."""
        answer = self.call(method, path, **request)
        try:
            said = answer.json()
        except (ValueError, RecursionError) as error:
            raise NotThisApi from error
        if not isinstance(said, dict):
            raise NotThisApi
        return said

    def _send_patiently(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        for tries_left in reversed(range(TRIES)):
            answer = self._send(send)
            if answer.status_code not in BUSY:
                return answer
            if tries_left:
                seconds = _retry_after(answer)
                note(f"The API is busy ({answer.status_code}): trying again in {seconds} s.")
                time.sleep(seconds)
        said = f"it answered {answer.status_code} {TRIES} times. {_message(answer)}"
        raise Stopped(f"The API stays busy: {said}".rstrip())

    def _send(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return send()
        except httpx.TimeoutException as error:
            raise Stopped(f"The API at {self.url} does not answer. Look at --url and the network.") from error
        except UnicodeError as error:
            raise Stopped(f"The API at {self.url} cannot be reached: that is no host's name. Look at --url.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Stopped(
                f"The API at {self.url} cannot be reached: {error}. Look at --url and the network."
            ) from error


def _refusal(answer: httpx.Response) -> ApiRefused:
    status = answer.status_code
    kinds: dict[int, type[ApiRefused]] = {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge,
        HTTPStatus.NOT_FOUND: NotFound,
    }
    hint = HINTS.get(status, "")
    if answer.is_redirect:
        hint = " Redirects are not followed: look at --url."
    said = " ".join(filter(None, [f"The API answered {status}:", _message(answer)])).rstrip(":")
    return kinds.get(status, ApiRefused)(f"{said.rstrip('.')}.{hint}")


def _retry_after(answer: httpx.Response) -> int:
    seconds = answer.headers.get("Retry-After", "")
    is_number = seconds.isascii() and seconds.isdecimal()
    return min(int(seconds[:9]), LONGEST_WAIT_SECONDS) if is_number else WAIT_SECONDS


def _message(answer: httpx.Response) -> str:
    """What a refusal says, its details included; nothing if it is not the API's own or API Gateway's."""
    try:
        said: dict[str, Any] = answer.json()
        details = [f"{detail['where']}: {detail['what']}." for detail in said.get("details", ())]
        return " ".join([str(said.get("message") or said.get("Message") or ""), *details]).strip()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
