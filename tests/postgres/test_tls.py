"""TLS to the database, with the PostgreSQL of the distribution: the embedded one is built without it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from local.postgres import Cluster, embedded_cluster
from program_enrollments import DatabaseNotReady, LinkingUnavailable, connect
from program_enrollments.migrate import migrate
from tests.support import load_event

# The server's certificate is for the first of them; neither is what the service holds for this machine.
CERTIFIED, NOT_CERTIFIED = "127.0.0.2", "127.0.0.3"
ANYBODY_FROM_THIS_MACHINE = "host all all 127.0.0.0/8 trust"
BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))

if BINARIES is None or shutil.which("openssl") is None:
    pytest.skip("the distribution's PostgreSQL is not there: apt-get install postgresql", allow_module_level=True)


@dataclass(frozen=True)
class TlsServer:
    """A server with a certificate, the authority behind that, and an authority that knows nothing of it."""

    cluster: Cluster
    authority: Path
    stranger: Path

    def turn_tls(self, state: str) -> None:
        """Turn TLS on or off for the connections to come."""
        with connect() as administrator:
            administrator.run(f"ALTER SYSTEM SET ssl = {state}")
            administrator.run("SELECT pg_reload_conf()")
        while tls_state() != state:
            time.sleep(0.01)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server that listens on this machine's other addresses too."""
    folder = tmp_path_factory.mktemp("certificates")
    addresses = f"127.0.0.1,{CERTIFIED},{NOT_CERTIFIED}"
    with embedded_cluster(addresses, rules=(ANYBODY_FROM_THIS_MACHINE,), binaries=BINARIES) as cluster:
        authority, stranger = make_authority(folder, "authority"), make_authority(folder, "stranger")
        certify(cluster.folder / "data", authority)
        yield TlsServer(cluster, authority, stranger)


@pytest.fixture
def tls(tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> TlsServer:
    """The server, to which the PG* variables lead, with TLS turned on."""
    for name, value in tls_server.cluster.environment.items():
        monkeypatch.setenv(name, value)
    tls_server.turn_tls("on")
    return tls_server


def make_authority(folder: Path, name: str) -> Path:
    """Make an authority's certificate, and its key beside it."""
    certificate = folder / f"{name}.crt"
    key = ["-nodes", "-newkey", "rsa:2048", "-keyout", str(certificate.with_suffix(".key"))]
    openssl("req", "-new", "-x509", "-days", "1", *key, "-subj", f"/CN={name}", "-out", str(certificate))
    return certificate


def certify(data: Path, authority: Path) -> None:
    """Make the server's certificate in its data folder, as PostgreSQL's manual does, too plainly for Python."""
    key, request, names = data / "server.key", data / "server.csr", data / "names"
    names.write_text(f"subjectAltName = IP:{CERTIFIED}")
    openssl(
        "req", "-new", "-nodes", "-newkey", "rsa:2048", "-keyout", str(key), "-subj", "/CN=db", "-out", str(request)
    )
    signer = ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key")), "-CAcreateserial"]
    openssl("x509", "-req", "-in", str(request), *signer, "-extfile", str(names), "-out", str(data / "server.crt"))
    shutil.chown(key, data.owner())
    key.chmod(0o600)


def openssl(*arguments: str) -> None:
    """Run OpenSSL."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S607 - whichever there is


def tls_state() -> str:
    """Whether the server offers TLS."""
    with connect() as connection:
        return str(connection.run("SHOW ssl")[0][0])


def is_encrypted() -> bool:
    """Connect as the environment says, and ask the server whether that is over TLS."""
    with connect() as connection:
        return bool(connection.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0])


def set_tls(monkeypatch: pytest.MonkeyPatch, host: str, mode: str | None, authorities: Path | str | None) -> None:
    """Set PGHOST, PGSSLMODE and PGSSLROOTCERT; None is for not at all."""
    for name, value in {"PGHOST": host, "PGSSLMODE": mode, "PGSSLROOTCERT": authorities}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("mode", [None, "require", "verify-ca", "verify-full"])
def test_right_authority(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    """A server that the right authority certifies is trusted, away from localhost without being asked to look."""
    set_tls(monkeypatch, CERTIFIED, mode, tls.authority)
    assert is_encrypted()


@pytest.mark.parametrize("mode", [None, "require", "verify-ca", "verify-full"])
def test_wrong_authority(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    """A server that another authority certifies is refused."""
    set_tls(monkeypatch, CERTIFIED, mode, tls.stranger)
    with pytest.raises(LinkingUnavailable, match="certificate verify failed: unable to get local issuer certificate"):
        connect()


@pytest.mark.parametrize("authorities", [None, "system"])
@pytest.mark.parametrize("mode", [None, "verify-ca", "verify-full"])
def test_system_authorities(
    tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None, authorities: str | None
) -> None:
    """Without PGSSLROOTCERT the system's authorities are trusted, and no other."""
    set_tls(monkeypatch, CERTIFIED, mode, authorities)
    with pytest.raises(LinkingUnavailable, match="certificate verify failed: unable to get local issuer certificate"):
        connect()


@pytest.mark.parametrize("mode", [None, "verify-full"])
def test_wrong_host(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    """A certificate for another host is refused, away from localhost without being asked to look."""
    set_tls(monkeypatch, NOT_CERTIFIED, mode, tls.authority)
    with pytest.raises(LinkingUnavailable, match=r"IP address mismatch, certificate is not valid for '127\.0\.0\.3'"):
        connect()


@pytest.mark.parametrize("mode", ["require", "verify-ca"])
def test_any_host(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Only verify-full minds for which host a certificate is."""
    set_tls(monkeypatch, NOT_CERTIFIED, mode, tls.authority)
    assert is_encrypted()


def test_any_server(tls: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PGSSLROOTCERT, require encrypts and trusts any server."""
    set_tls(monkeypatch, NOT_CERTIFIED, "require", None)
    assert is_encrypted()


@pytest.mark.parametrize("mode", [None, "require", "verify-ca", "verify-full"])
def test_plaintext_server(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    """A server without TLS is refused, away from localhost without being asked to look."""
    tls.turn_tls("off")
    set_tls(monkeypatch, CERTIFIED, mode, tls.authority)
    with pytest.raises(
        LinkingUnavailable, match=r":\d+ cannot be reached: it has no TLS\. Look at PGSSLMODE\. Nothing"
    ):
        connect()


@pytest.mark.parametrize("mode", [None, "allow", "prefer"])
def test_optional(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    """On localhost, and elsewhere where it is asked for, TLS is used as far as the server has it."""
    set_tls(monkeypatch, NOT_CERTIFIED if mode else "127.0.0.1", mode, tls.stranger)
    assert is_encrypted()
    set_tls(monkeypatch, "127.0.0.1", None, None)
    tls.turn_tls("off")
    set_tls(monkeypatch, NOT_CERTIFIED if mode else "127.0.0.1", mode, tls.stranger)
    assert not is_encrypted()


@pytest.mark.parametrize("host", ["127.0.0.1", CERTIFIED])
def test_disabled(tls: TlsServer, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """With disable, TLS is not used even where the server has it."""
    set_tls(monkeypatch, host, "disable", tls.authority)
    assert not is_encrypted()


def test_unknown_mode(tls: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt PGSSLMODE is answered with the modes that there are."""
    set_tls(monkeypatch, "127.0.0.1", "verify_full", None)
    with pytest.raises(
        DatabaseNotReady,
        match=r"^PGSSLMODE=verify_full is not known: use disable, allow, prefer, require, verify-ca or verify-full\.$",
    ):
        connect()


def test_missing_authorities(tls: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGSSLROOTCERT that is not there is reported as such, and not as a server out of reach."""
    set_tls(monkeypatch, CERTIFIED, "verify-full", "/nowhere/root.crt")
    with pytest.raises(DatabaseNotReady, match=r"^PGSSLROOTCERT=/nowhere/root\.crt cannot be read: .*No such file"):
        connect()


def test_lambda(tls: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Lambda links over TLS, and answers 503 where it cannot trust the server."""
    with connect() as administrator:
        migrate(administrator)
    forget_connection()
    set_tls(monkeypatch, CERTIFIED, None, tls.authority)
    answer = lambda_handler(load_event("direct-link"), invocation())
    assert answer["error_codes"] == {"student-001": "user-not-found", "student-002": "user-not-found"}
    forget_connection()
    set_tls(monkeypatch, NOT_CERTIFIED, None, tls.authority)
    assert lambda_handler(load_event("api-link"), invocation())["statusCode"] == 503
