"""A connection to PostgreSQL, made as libpq's variables say."""

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import scramp.core
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection
from scramp import ScramException

from program_enrollments.errors import (
    ConnectionLost,
    DatabaseNotReady,
    LinkingUnavailable,
    ProgramEnrollmentsError,
    WrongPassword,
)
from program_enrollments.postgres.network import NoTls, cut_after, reach, secured
from program_enrollments.postgres.session import close, set_timeout
from program_enrollments.postgres.sqlstates import OUT_OF_TIME_MESSAGE

CONNECT_SECONDS = 30.0
LAST_PORT = 65_535
# What would lead libpq elsewhere, and leads nowhere here.
NOT_READ = ("PGHOSTADDR", "PGSERVICE")
# A space to PostgreSQL, and nothing to scramp.
ZERO_WIDTH_SPACE = "\u200b"
WHERE, WHO = "PGHOST and PGPORT", "PGUSER and PGPASSWORD"


def connect(user: str | None = None, password: str | None = None, timeout: float | None = None) -> Connection:
    """Connect as libpq's variables say.

    They are PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE, PGSSLROOTCERT, PGOPTIONS, PGCONNECT_TIMEOUT.
    `user` and `password` go before PGUSER and PGPASSWORD. `timeout` is in seconds, for the whole login; the shorter of
    it and PGCONNECT_TIMEOUT counts, and without both 30 seconds.

    Raise `DatabaseNotReady` if a variable makes no sense, `WrongPassword` if the server does not let the user in, and
    `LinkingUnavailable` if it cannot be reached in time or over TLS; each says what to look at.
    """
    deadline = time.monotonic() + _seconds(timeout)
    host, port = _place()
    user = user or os.environ.get("PGUSER") or "postgres"
    password = password or os.environ.get("PGPASSWORD") or ""
    startup = {"client_encoding": "UTF8", "options": os.environ.get("PGOPTIONS") or None}
    names = {"user": user, "database": os.environ.get("PGDATABASE") or user, "password": password}
    _check_text({**names, "host": host, "options": startup["options"] or ""})
    try:
        return _log_in(host, port, deadline, startup_params=startup, **names)
    except ProgramEnrollmentsError:
        raise
    except Exception as error:
        reason = TimeoutError() if time.monotonic() >= deadline else error
        raise _no_connection(reason, f"{host}:{port}", has_password=bool(password)) from error


@contextmanager
def connected(
    user: str | None = None, password: str | None = None, timeout: float | None = None
) -> Iterator[Connection]:
    """Connect as `connect` does, and close at the end; raise `LinkingUnavailable` if the connection is lost, too."""
    connection = connect(user, password, timeout)
    try:
        yield connection
    except ConnectionLost as error:
        raise LinkingUnavailable(f"The connection to the database was lost: {error}. Nothing was changed.") from error
    finally:
        close(connection)


def _log_in(host: str, port: int, deadline: float, **login: Any) -> Connection:  # noqa: ANN401 - pg8000's own
    sock = reach(host, port, deadline)
    try:
        with cut_after(sock, deadline - time.monotonic()):
            sock.settimeout(deadline - time.monotonic())
            sock = secured(sock, host)
            connection = Connection(**login, sock=sock, ssl_context=False, application_name="program-linking")
    except BaseException:
        sock.close()
        raise
    set_timeout(connection, None)
    return connection


def _seconds(timeout: float | None) -> float:
    """How long the login may take; as with libpq, 0 in PGCONNECT_TIMEOUT is no limit of its own."""
    named = (os.environ.get("PGCONNECT_TIMEOUT") or "0").strip()
    if not re.fullmatch(r"-?[0-9]{1,9}", named):
        raise DatabaseNotReady(f"PGCONNECT_TIMEOUT={named} is not a whole number of seconds.")
    if timeout is not None and timeout <= 0:
        raise LinkingUnavailable(OUT_OF_TIME_MESSAGE)
    limits = [seconds for seconds in (float(named), timeout or 0) if seconds > 0]
    return min(limits, default=CONNECT_SECONDS)


def _place() -> tuple[str, int]:
    for name in NOT_READ:
        if os.environ.get(name):
            raise DatabaseNotReady(f"{name} is set and is not read here: say it with PGHOST and PGPORT, and unset it.")
    host, port = os.environ.get("PGHOST") or "localhost", (os.environ.get("PGPORT") or "5432").strip()
    if "," in host:
        raise DatabaseNotReady(f"PGHOST={host} names several hosts: name one.")
    if re.search(r"[\0-\x1f\x7f]", host):
        raise DatabaseNotReady(f"PGHOST={host!r} is not the name of a host.")
    if not re.fullmatch(r"[0-9]{1,9}", port) or not 0 < int(port) <= LAST_PORT:
        raise DatabaseNotReady(f"PGPORT={port} is no port number.")
    return host, int(port)


def _check_text(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise DatabaseNotReady(f"The {name} for the database is not UTF-8: look at PG{name.upper()} or the secret.")


def _no_connection(error: Exception, place: str, *, has_password: bool) -> LinkingUnavailable:
    reason, look_at = _reason(error)
    is_login = _sqlstate(error).startswith("28")
    if is_login and not has_password:
        look_at = "PGPASSWORD, which is not set"
    message = f"The database at {place} cannot be reached: {reason}. Look at {look_at}. Nothing was changed."
    return WrongPassword(message) if is_login else LinkingUnavailable(message)


def _reason(error: Exception) -> tuple[str, str]:  # noqa: PLR0911 - a table
    """Why there is no connection, and which variables to look at."""
    match error:
        case DatabaseError():
            return _refusal(error)
        case ScramException():
            return f"logging in failed ({error})", WHO
        case InterfaceError(__cause__=OSError() as cause):
            return _reason(cause)
        case InterfaceError() if "uthentication" in str(error):
            return f"{str(error).removesuffix('.')}", WHO
        case InterfaceError() | ConnectionResetError() | BrokenPipeError():
            return "it closed the connection, or is not PostgreSQL", WHERE
        case OSError() | UnicodeError() | NoTls():
            return _reason_of_network(error)
    return "what answers there is not PostgreSQL", WHERE


def _reason_of_network(error: Exception) -> tuple[str, str]:  # noqa: PLR0911 - likewise
    match error:
        case TimeoutError():
            return "it did not answer in time", f"{WHERE}, or at PGCONNECT_TIMEOUT"
        case NoTls():
            return "it has no TLS", "PGSSLMODE"
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message}", "PGSSLROOTCERT, PGSSLMODE and PGHOST"
        case ssl.SSLError():
            return f"TLS failed: {error.reason}", f"PGSSLMODE, {WHERE}"
        case UnicodeError():
            return "that is not the name of a host", "PGHOST"
        case socket.gaierror():
            return str(error.strerror), "PGHOST"
        case _:
            return str(getattr(error, "strerror", None) or error), WHERE


def _refusal(error: DatabaseError) -> tuple[str, str]:
    fields = error.args[0]
    match _sqlstate(error):
        case "28P01":
            look_at = WHO
        case "3D000" | "42501" | "55000":
            look_at = "PGDATABASE"
        case sqlstate if sqlstate.startswith(("22", "42")):
            look_at = "PGOPTIONS and PGDATABASE"
        case sqlstate if sqlstate.startswith("28"):
            look_at = "PGUSER, PGDATABASE, PGSSLMODE and the server's pg_hba.conf"
        case _:
            look_at = WHERE
    return str(fields.get("M", "no reason given")).partition("\n")[0], look_at


def _sqlstate(error: Exception) -> str:
    match error.args:
        case ({"C": str(sqlstate)}, *_) if isinstance(error, DatabaseError):
            return sqlstate
    return ""


def _prepared(password: str) -> str:
    """Prepare a password as PostgreSQL does: if SASLprep refuses it, or leaves nothing of it, it is taken as it is."""
    try:
        return str(_saslprep(password.replace(ZERO_WIDTH_SPACE, " "))) or password
    except ScramException:
        return password


_saslprep = scramp.core.saslprep
scramp.core.saslprep = _prepared
