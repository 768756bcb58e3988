"""A connection to PostgreSQL, made as libpq's variables say."""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from program_enrollments.errors import ConnectionLost, DatabaseNotReady, LinkingUnavailable, WrongPassword
from program_enrollments.postgres.session import close, set_timeout
from program_enrollments.postgres.sqlstates import OUT_OF_TIME_MESSAGE

CONNECT_SECONDS = 5.0
CONNECT_ROUND_TRIPS = 7  # at most: TCP, TLS, and a password by SCRAM
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def connect(user: str | None = None, password: str | None = None, timeout: float = CONNECT_SECONDS) -> Connection:
    """Connect as libpq's variables say (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE, PGSSLROOTCERT).

    `user` and `password` go before PGUSER and PGPASSWORD; `timeout` is in seconds, for all of it. Raise `WrongPassword`
    where the server does not let the user in, and `LinkingUnavailable` where it cannot be reached in time or over TLS.
    """
    if timeout <= 0:
        raise LinkingUnavailable(OUT_OF_TIME_MESSAGE)
    host = os.environ.get("PGHOST") or "localhost"
    port = _port()
    user = user or os.environ.get("PGUSER") or "postgres"
    try:
        connection = Connection(
            user,
            password=password or os.environ.get("PGPASSWORD"),
            database=os.environ.get("PGDATABASE") or user,
            timeout=min(timeout / CONNECT_ROUND_TRIPS, CONNECT_SECONDS),
            application_name="program-linking",
            **_address(host, port),
        )
    except (DatabaseError, InterfaceError, OSError) as error:
        raise _no_connection(error, host, port) from error
    set_timeout(connection, None)
    if not host.startswith("/"):
        # As libpq does: the second part of a long message must not wait until the first one is acknowledged.
        connection._usock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # noqa: SLF001 - see set_timeout
    return connection


@contextmanager
def connected(user: str | None = None, password: str | None = None) -> Iterator[Connection]:
    """Connect as `connect` does, and close at the end; raise `LinkingUnavailable` where the connection is lost too."""
    connection = connect(user, password)
    try:
        yield connection
    except ConnectionLost as error:
        raise LinkingUnavailable(f"The connection to the database was lost: {error}.") from error
    finally:
        close(connection)


def _port() -> int:
    port = os.environ.get("PGPORT") or "5432"
    if not port.isdecimal():
        raise DatabaseNotReady(f"PGPORT={port} is no port number.")
    return int(port)


def _address(host: str, port: int) -> dict[str, Any]:
    if host.startswith("/"):
        return {"unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return {"host": host, "port": port, "ssl_context": _tls(host)}


def _tls(host: str) -> ssl.SSLContext | bool | None:
    """The sslmode in pg8000's terms: a context to verify with, None for "if the server can", False for never."""
    mode = os.environ.get("PGSSLMODE") or ("prefer" if host in LOCAL_HOSTS else "verify-full")
    authorities = os.environ.get("PGSSLROOTCERT")
    match mode:
        case "disable":
            return False
        case "allow" | "prefer":
            return None
        case "require" if not authorities:
            return True
        case "require" | "verify-ca" | "verify-full":
            context = _trusting(authorities)
            context.check_hostname = mode == "verify-full"
            return context
    raise DatabaseNotReady(
        f"PGSSLMODE={mode} is not known: use disable, allow, prefer, require, verify-ca or verify-full."
    )


def _trusting(authorities: str | None) -> ssl.SSLContext:
    """Trust the certificates that a file holds; those of the system where none is named, or `system`."""
    try:
        context = ssl.create_default_context(cafile=authorities if authorities != "system" else None)
    except OSError as error:
        raise DatabaseNotReady(f"PGSSLROOTCERT={authorities} cannot be read: {error}.") from error
    # libpq is not as strict about certificates as Python, and PostgreSQL's manual makes some that Python would refuse.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _no_connection(error: Exception, host: str, port: int) -> LinkingUnavailable:
    fields = _fields(error)
    # pg8000 tells that it could not connect, and leaves the reason to the exception behind.
    reason = fields.get("M") or error.__cause__ or error
    message = f"The database at {host}:{port} cannot be reached: {reason}. Nothing was changed."
    return WrongPassword(message) if fields.get("C", "").startswith("28") else LinkingUnavailable(message)


def _fields(error: Exception) -> Mapping[str, str]:
    match error.args:
        case (dict() as fields, *_):
            return fields
    return {}
