"""The command line as a test calls it, and the servers that it can be pointed at."""

import datetime as dt
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.lms import PROGRAM, Lms
from program_linking.main import run
from tests.command.support import Api, Ended, Link, Received, Start
from tests.gateway import gateway as serving_gateway
from tests.gateway import serving

API_HOST = "abcdef1234.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture
def link(capsys: pytest.CaptureFixture[str]) -> Link:
    """The command, in this process."""

    def link(*arguments: str, program: str = PROGRAM) -> Ended:
        try:
            status = run(["link", program, *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *capsys.readouterr())

    return link


@pytest.fixture
def link_process(lms: Lms) -> Start:
    """The command as a process of its own."""

    def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "program_linking.main", "link", PROGRAM, *arguments],
            env=os.environ | {"PYTHONPATH": "layers/core"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def gateway(lms: Lms) -> Iterator[str]:
    """The service behind its local HTTP front; its URL."""
    with serving_gateway() as url:
        yield url


@pytest.fixture
def api() -> Iterator[Api]:
    """A recording API on localhost."""
    api = Api("")
    with serving(HTTPServer(("127.0.0.1", 0), _recorder(api))) as port:
        api.url = f"http://127.0.0.1:{port}"
        yield api


@pytest.fixture
def deployed_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A recording API over TLS, under API Gateway's name and a name of one's own, for a caller with credentials."""
    certificate = _certificate(tmp_path / "certificate.pem", API_HOST, "links.example.org")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session-token")
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    api = Api(f"https://{API_HOST}/v1")
    server = HTTPServer(("127.0.0.1", 0), _recorder(api))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        address = (2, 1, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [address])
        yield api


def _recorder(api: Api) -> type[BaseHTTPRequestHandler]:
    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            api.received.append(Received(self.path, dict(self.headers.items()), body))
            status, headers, answer = api.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        do_GET = do_POST  # noqa: N815 - the base class's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            """Say nothing."""

    return Recorder


def _certificate(file: Path, *names: str) -> Path:
    """Write a key, and the certificate of an authority that is the server itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
