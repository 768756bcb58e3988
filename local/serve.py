"""The service on localhost: `python -m local.serve`, with an embedded PostgreSQL or the server that PG* names.

Each HTTP request becomes the event that API Gateway would make of it, and goes to the Lambda's own handler.
"""

import base64
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from local.postgres import embedded_cluster
from local.roster import load_sample_roster, sample_curl
from program_enrollments import connect
from program_enrollments.migrate import migrate

DEFAULT_PORT = 8000
LARGEST_PAYLOAD = 10_000_000  # API Gateway's limit


class Gateway(BaseHTTPRequestHandler):
    """Stands where API Gateway would: proxy events in, responses out."""

    protocol_version = "HTTP/1.1"
    one_at_a_time = Lock()  # as in each environment of Lambda, though connections stay open side by side

    def answer(self) -> None:
        """Turn the request into an event, and the handler's response into an answer."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_PAYLOAD:
            self.send_error(413)
            return
        event = self._event(self.rfile.read(length))
        with self.one_at_a_time:
            response = lambda_handler(event, invocation())
        body = response["body"].encode()
        self.send_response(response["statusCode"])
        for name, values in response["multiValueHeaders"].items():
            for value in values:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Take any method, as the API behind API Gateway does."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the handler logs for itself."""

    def _event(self, body: bytes) -> dict[str, Any]:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        try:
            text, is_base64 = body.decode(), False
        except UnicodeDecodeError:
            text, is_base64 = base64.b64encode(body).decode(), True
        return {
            "resource": "/{proxy+}",
            "path": url.path,
            "httpMethod": self.command,
            "headers": dict(self.headers.items()),
            "multiValueHeaders": {name: self.headers.get_all(name) for name in self.headers},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": {"proxy": url.path.lstrip("/")},
            "stageVariables": None,
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "stage": "",
                "httpMethod": self.command,
                "path": url.path,
                "identity": {"sourceIp": self.client_address[0], "userAgent": self.headers.get("User-Agent")},
            },
            "body": text or None,
            "isBase64Encoded": is_base64,
        }


@contextmanager
def sample_database() -> Iterator[None]:
    """A database with the sample roster, which PG* name: the one that they named already, or an embedded one."""
    with ExitStack() as stack:
        if "PGHOST" not in os.environ:
            os.environ |= stack.enter_context(embedded_cluster()).environment
        with connect() as connection:
            migrate(connection)
            load_sample_roster(Lms(connection))
        yield


def main() -> None:
    """Serve until interrupted, and leave nothing running."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    port = int(os.environ.get("PORT") or DEFAULT_PORT)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Gateway)
    except OSError as error:
        sys.exit(f"Port {port} cannot be had ({error.strerror}); try another one: make run PORT={port + 1}")
    with suppress(KeyboardInterrupt), server, sample_database():
        url = f"http://127.0.0.1:{port}"
        print(
            f"POST {url}/links   (try it in a browser: {url}/docs)\n\n{sample_curl(url)}\n\nCtrl-C stops it.",
            flush=True,
        )
        server.serve_forever()


if __name__ == "__main__":
    main()
