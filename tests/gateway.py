"""HTTP servers in a thread of the test, the service behind its local front among them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

from local.serve import Gateway


class _Quiet(Gateway):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: a test reads what is said."""


@contextmanager
def gateway() -> Iterator[str]:
    """The service behind its local HTTP front, in the database that the PG* variables name; its URL."""
    with serving(HTTPServer(("127.0.0.1", 0), _Quiet)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serving(server: HTTPServer) -> Iterator[int]:
    """Let a server serve, and end it at the end; its port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
