"""The way to a PostgreSQL server: TCP or a socket file, and TLS, all before a given moment."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer

from program_enrollments.errors import DatabaseNotReady

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
# An SSLRequest of PostgreSQL's protocol: the length, itself included, and a number that no version has.
TLS_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


class NotPostgres(Exception):
    """What answers at the address does not speak PostgreSQL's protocol."""


class NoTls(Exception):
    """The server has no TLS, and PGSSLMODE asks for it."""


def reach(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to a host, or to the socket file in a folder; each address of the host gets its share of the time.

    The deadline is on the monotonic clock. Raise `OSError`, or `UnicodeError` for what cannot be the name of a host.
    """
    if host.startswith("/"):
        return _connected(socket.AF_UNIX, f"{host}/.s.PGSQL.{port}", deadline - time.monotonic())
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, _, _, _, address) in enumerate(addresses):
        last = number == len(addresses) - 1
        with suppress(*([] if last else [OSError])):
            sock = _connected(family, address, (deadline - time.monotonic()) / (len(addresses) - number))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # As libpq does: the second part of a long message must not wait until the first one is acknowledged.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise OSError("it has no address")


def secured(sock: socket.socket, host: str) -> socket.socket:
    """The same connection over TLS, as PGSSLMODE says; raise `NoTls`, `NotPostgres` or `OSError`."""
    mode = os.environ.get("PGSSLMODE") or ("prefer" if host in LOCAL_HOSTS else "verify-full")
    context = None if host.startswith("/") else _tls(mode)
    if context is None:
        return sock
    sock.sendall(TLS_REQUEST)
    match sock.recv(1):
        case b"S":
            return context.wrap_socket(sock, server_hostname=host)
        case b"N" if mode in {"allow", "prefer"}:
            return sock
        case b"N":
            raise NoTls
        case b"":
            raise ConnectionResetError
        case _:
            raise NotPostgres


@contextmanager
def cut_after(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection when the time is over: a socket's own time-out begins again with each packet that arrives."""
    # Beneath TLS, whose state belongs to the thread that reads.
    same = socket.fromfd(sock.fileno(), sock.family, sock.type)
    timer = Timer(seconds, _shut_down, [same])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        same.close()


def _connected(family: socket.AddressFamily, address: object, seconds: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(max(seconds, 0.001))
        sock.connect(address)  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


def _tls(mode: str) -> ssl.SSLContext | None:
    authorities = os.environ.get("PGSSLROOTCERT")
    match mode:
        case "disable":
            return None
        case "require" if authorities:
            return _trusting(authorities, check_hostname=False)
        case "allow" | "prefer" | "require":
            return _trusting_anybody()
        case "verify-ca" | "verify-full":
            return _trusting(authorities, check_hostname=mode == "verify-full")
    raise DatabaseNotReady(
        f"PGSSLMODE={mode} is not known: use disable, allow, prefer, require, verify-ca or verify-full."
    )


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(authorities: str | None, *, check_hostname: bool) -> ssl.SSLContext:
    """Trust the certificates that a file holds; those of the system if none is named, or `system`."""
    try:
        context = ssl.create_default_context(cafile=authorities if authorities != "system" else None)
    except OSError as error:
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise DatabaseNotReady(f"PGSSLROOTCERT={authorities} cannot be read: {reason}.") from error
    # libpq is not as strict about certificates as Python, and PostgreSQL's manual makes some that Python would refuse.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = check_hostname
    return context


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
