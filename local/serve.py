"""The service on localhost: `python -m local.serve`, with a sample roster in an embedded PostgreSQL.

Each HTTP request becomes the event that API Gateway would make of it, and goes to the Lambda's own handler.
"""

import base64
import os
import re
import signal
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import Lms
from local.postgres import embedded_cluster
from local.roster import count_strangers, load_sample_roster, sample_curl
from local.server import Refused, count_tables, failing_in_a_sentence, forget_surroundings, is_own, place
from program_enrollments import connect
from program_enrollments.migrate import migrate

if TYPE_CHECKING:
    from io import TextIOWrapper

DEFAULT_PORT = 8000
LOGS = Path(__file__).parent.parent / ".local"
LARGEST_PAYLOAD = 10_000_000  # API Gateway's limit


class Gateway(BaseHTTPRequestHandler):
    """Stands where API Gateway would: proxy events in, responses out."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits until the browser acknowledges the headers: 40 ms
    one_at_a_time = Lock()  # as in each environment of Lambda, though connections stay open side by side

    def answer(self) -> None:
        """Turn the request into an event, and the handler's response into an answer."""
        length = self.headers.get("Content-Length") or "0"
        if not re.fullmatch("[0-9]{1,18}", length) or "Transfer-Encoding" in self.headers:
            self.send_error(411)
            return
        if int(length) > LARGEST_PAYLOAD:
            self.send_error(413)
            return
        event = self._event(self.rfile.read(int(length)))
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

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: each answer has its line already."""

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


class Server(ThreadingHTTPServer):
    """A server that keeps what went wrong with a connection out of the terminal."""

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's
        """Log it, as what the handler says is logged."""
        traceback.print_exc(file=sys.stdout)


@contextmanager
def sample_database() -> Iterator[str]:
    """A database with the sample roster, which PG* name, and a sentence on what becomes of it."""
    if is_own():
        with connect() as connection:
            refuse_strangers(Lms(connection))
            yield f"The database is your own, {fill_database()}: what is linked there stays."
        return
    with embedded_cluster() as cluster:
        os.environ |= cluster.environment
        fill_database()
        yield "The database is an embedded PostgreSQL, and is thrown away at the end."


def fill_database() -> str:
    """Bring the database that PG* name up to date, with the sample roster in it; return where it is."""
    with connect() as connection:
        migrate(connection)
        load_sample_roster(Lms(connection))
        return place(connection)


def refuse_strangers(lms: Lms) -> None:
    """Raise `Refused` if the database has accounts that are not the sample roster's, or tables of something else."""
    [[has_accounts]] = lms.run("SELECT to_regclass('auth_user') IS NOT NULL")
    if has_accounts and (strangers := count_strangers(lms)):
        raise Refused(
            f"{place(lms.connection)} has {strangers:,} accounts that are not the sample roster's, which would be"
            " written there: nothing was changed. Name another database, or leave SERVER=own out."
        )
    if not has_accounts and (tables := count_tables(lms.connection)):
        raise Refused(
            f"{place(lms.connection)} has {tables:,} tables and is no LMS: nothing was changed. Name an empty database,"
            " or leave SERVER=own out."
        )


def port_to_serve(default: int) -> int:
    """The port that PORT names; raise `Refused` if it is none."""
    port = os.environ.get("PORT") or str(default)
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 1 << 16:
        raise Refused(f"PORT={port} is no port: use a number from 1 to 65535, or leave it out for {default}.")
    return int(port)


def serve(port: int) -> None:
    """Serve until interrupted: one line a request on standard error, and what the functions log into a file."""
    try:
        server = Server(("127.0.0.1", port), Gateway)
    except OSError as error:
        raise Refused(f"Port {port} cannot be had ({error.strerror}): name another one with PORT=…") from error
    with server, sample_database() as fate:
        url, log = f"http://127.0.0.1:{port}", log_file(port)
        cast("TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)
        print(
            f"{url}/   is the page for people ({url}/docs the API's)\n\n{sample_curl(url)}\n\n"
            f"{fate}\nRosters are not here: `make stack` has them.\n"
            f"What the function logs is in {os.path.relpath(log)}. Ctrl-C stops it.\n"
        )
        with log.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
        server.serve_forever()


def log_file(port: int) -> Path:
    """Where the functions' logs go, while a port is served."""
    LOGS.mkdir(exist_ok=True)
    return LOGS / f"run-{port}.log"


def stop_once() -> None:
    """Let the first signal end the program as Ctrl-C does, and no other one disturb it while it ends."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(*_: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in signals:
        signal.signal(each, stop)


def main() -> None:
    """Serve until interrupted, and leave nothing running."""
    stop_once()
    with suppress(KeyboardInterrupt), failing_in_a_sentence():
        forget_surroundings()
        serve(port_to_serve(DEFAULT_PORT))
    print("\nStopped.", file=sys.stderr)


if __name__ == "__main__":
    main()
