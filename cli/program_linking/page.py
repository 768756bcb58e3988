"""`program-linking page`: the page of an API that wants signed requests, on this machine and for its user only.

A browser cannot sign. So this serves on 127.0.0.1 what the API serves, path for path, and signs what goes there. Only
the browser that opens the printed address gets in: its token is good once, and is exchanged for a cookie. Requests with
another Host (a name that was made to lead here) or from another page (Origin, Sec-Fetch-Site) are refused.
"""

import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qs, urlsplit

import typer

from program_linking import options
from program_linking.stopped import Stopped
from program_linking.streams import say, write

if TYPE_CHECKING:
    from program_linking.api import Api

EXAMPLE = "Example: program-linking page --url https://abcdef1234.execute-api.eu-west-1.amazonaws.com/v1"
HOST = "127.0.0.1"
LARGEST_BODY = 10_000_000  # API Gateway's limit
SENT_ON = ("Accept", "Content-Type")
NOT_HANDED_BACK = {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
OWN_PAGES = {"same-origin", "none"}

Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to serve on; 0 takes a free one.")]


def page(*, url: options.RequiredUrl, port: Port = 0) -> int:
    """Serve the page of the API on 127.0.0.1, with your AWS credentials, until it is interrupted."""
    # With httpx and botocore, which take their time.
    from program_linking.api import connected_api  # noqa: PLC0415

    with connected_api(url, None) as api:
        try:
            server = Server(api, port)
        except OSError as error:
            raise Stopped(f"Port {port} cannot be had: {error.strerror}. Give another one with --port.") from error
        with server:
            write([f"Open {server.address} in a browser on this machine: the address is good once.\n"])
            server.serve_forever()
    return 0


class Server(ThreadingHTTPServer):
    """Serves one browser."""

    def __init__(self, api: "Api", port: int) -> None:
        """Listen; no request is answered yet."""
        super().__init__((HOST, port), Handler)
        self.api = api
        self.token: str | None = secrets.token_urlsafe()
        self.session = secrets.token_urlsafe()
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.home = urlsplit(api.url).path + "/"

    @property
    def address(self) -> str:
        """Where the page is, with the token that lets one browser in."""
        return f"http://{HOST}:{self.server_port}{self.home}?token={self.token}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that went away."""


class Handler(BaseHTTPRequestHandler):
    """Answers the browser that was let in with what the API answers."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits until the browser acknowledges the headers: 40 ms
    timeout = 60

    def answer(self) -> None:
        """Let the browser in, or send its request on, or refuse it."""
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal() and int(length[:9]) <= LARGEST_BODY):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is larger than the API takes.")
            return
        body = self.rfile.read(int(length[:9]))
        if reason := self._is_foreign():
            self._refuse(HTTPStatus.FORBIDDEN, reason)
        elif self._has_cookie():
            self._send_on(body)
        elif self._has_token():
            self._let_in()
        else:
            self._refuse(HTTPStatus.FORBIDDEN, "Open the address that the command printed; it is good once.")

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Take each method: the API says which ones it has."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: paths may have keys in them."""

    def _is_foreign(self) -> str | None:
        """Why a request did not come from the page itself; None if it did."""
        if self.headers.get("Host") not in self.server.hosts:
            return "This is not the address that the command printed."
        origin = self.headers.get("Origin")
        is_own = urlsplit(origin).netloc == self.headers["Host"] if origin else self.command == "GET"
        if not is_own or self.headers.get("Sec-Fetch-Site", "none") not in OWN_PAGES:
            return "The request comes from another page."
        return None

    def _has_cookie(self) -> bool:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and secrets.compare_digest(cookie.value.encode(), self.server.session.encode())

    def _has_token(self) -> bool:
        given = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        expected = self.server.token or secrets.token_urlsafe()
        return secrets.compare_digest(given.encode(errors="replace"), expected.encode())

    def _let_in(self) -> None:
        self.server.token = None
        cookie = f"{self._cookie}={self.server.session}; HttpOnly; SameSite=Strict; Path=/"
        self._respond(HTTPStatus.SEE_OTHER, {"Location": self.server.home, "Set-Cookie": cookie}, b"")

    @property
    def _cookie(self) -> str:
        """The name of the cookie: a browser sends cookies to all ports of a host."""
        return f"program-linking-{self.server.server_port}"

    def _send_on(self, body: bytes) -> None:
        import httpx  # noqa: PLC0415 - likewise

        api = self.server.api
        if not self.path.startswith(self.server.home):
            self._refuse(HTTPStatus.NOT_FOUND, f"The page is at {self.server.home}")
            return
        headers = {name: self.headers[name] for name in SENT_ON if name in self.headers}
        url = api.url + self.path.removeprefix(self.server.home.rstrip("/"))
        try:
            answer = api.client.request(self.command, url, headers=headers, content=body or None)
        except Stopped as error:
            self._refuse(HTTPStatus.BAD_GATEWAY, str(error))
            say(str(error))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT, f"The API at {api.url} cannot be reached: {error}.")
        else:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_HANDED_BACK}
            self._respond(answer.status_code, kept, answer.content)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True
        self._respond(status, {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}, message.encode())

    def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
