"""How the service gets into its database with an RDS IAM token."""

import hashlib
import hmac
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from program_enrollments import DatabaseNotReady, LinkingUnavailable
from tests.support import load_event

SOCKETS = tempfile.gettempdir()
LINKED_NONE = {"student-001": "user-not-found", "student-002": "user-not-found"}


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No connection is open yet, and none is left open."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    forget_connection()
    yield
    forget_connection()


def link_cold() -> dict[str, Any]:
    """Invoke the Lambda directly, on a new connection."""
    forget_connection()
    return lambda_handler(load_event("direct-link"), invocation())


@dataclass
class Recorder:
    """A server that asks for a password in clear text, keeps what it got, and refuses it."""

    port: int
    startups: list[bytes] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                self.startups.append(stream.read(int.from_bytes(stream.read(4)) - 4))
                client.sendall(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
                stream.read(1)
                self.passwords.append(stream.read(int.from_bytes(stream.read(4)) - 4).rstrip(b"\0").decode())
                refusal = b"SFATAL\0C28000\0MPAM authentication failed for user\0\0"
                client.sendall(b"E" + (4 + len(refusal)).to_bytes(4) + refusal)


@contextmanager
def recorder() -> Iterator[Recorder]:
    """A recorder that serves until the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder = Recorder(listener.getsockname()[1])
        thread = threading.Thread(target=recorder.serve, args=(listener,))
        thread.start()
        yield recorder
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_iam_token(cold: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DB_IAM_AUTH the password is a token for PGHOST, PGPORT and PGUSER, which is tried once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session/token+==")
    monkeypatch.setenv("DB_IAM_AUTH", "true")
    with recorder() as server:
        environment = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "li nk+er", "PGSSLMODE": "disable"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(LinkingUnavailable, match="PAM authentication failed") as refusal:
            link_cold()
    assert type(refusal.value) is LinkingUnavailable
    assert b"user\0li nk+er\0" in server.startups[0]
    [token] = server.passwords
    host, _, query = token.partition("/?")
    parameters = dict(parse_qsl(query, strict_parsing=True))
    assert host == f"127.0.0.1:{server.port}"
    assert parameters["Action"] == "connect"
    assert parameters["DBUser"] == "li nk+er"
    assert parameters["X-Amz-Expires"] == "900"
    assert parameters["X-Amz-Credential"].startswith("AKIAEXAMPLE/")
    assert parameters["X-Amz-Credential"].endswith("/eu-west-1/rds-db/aws4_request")
    assert parameters["X-Amz-Security-Token"] == "session/token+=="
    assert parameters.pop("X-Amz-Signature") == signature(host, parameters, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def signature(host: str, parameters: dict[str, str], secret_key: str) -> str:
    """What AWS computes to check a presigned GET (Signature Version 4)."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parameters.items()))
    canonical = f"GET\n/\n{query}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    _, _, scope = parameters["X-Amz-Credential"].partition("/")
    text = f"AWS4-HMAC-SHA256\n{parameters['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_iam_needs_credentials(cold: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB_IAM_AUTH without AWS credentials is reported as such."""
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DB_IAM_AUTH", "true")
    with pytest.raises(DatabaseNotReady, match=r"^DB_IAM_AUTH needs AWS credentials, and there are none[.]$"):
        link_cold()
