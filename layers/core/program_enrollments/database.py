"""PostgreSQL as linking sees it: connect, transaction, savepoint. The only module that knows pg8000."""

import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from program_enrollments.outcomes import DatabaseNotReady, LinkingUnavailable, NonExistentCourse, Refused

__all__ = ["Connection", "ConnectionLost", "Contention", "Session", "WrongPassword", "close", "connect", "connected"]

CONNECT_SECONDS = 5.0
CONNECT_ROUND_TRIPS = 7  # at most: TCP, TLS, and a password by SCRAM
GRACE_SECONDS = 0.25
OUT_OF_TIME_MESSAGE = (
    "The batch could not be finished in time and was rolled back; nothing was changed. Send it again, or in halves."
)
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


class ConnectionLost(Exception):
    """The connection went away before COMMIT was sent: nothing was changed."""


class Contention(Exception):
    """A deadlock or a serialization failure rolled the transaction back: the same again may succeed."""


class WrongPassword(LinkingUnavailable):
    """The server refused the user or the password."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection and the moment, on the monotonic clock, at which its work has to be over."""

    connection: Connection
    deadline: float

    def query(self, statement: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the statement answers
        """Run one statement with bound parameters; return the first column of its last row, None without rows."""
        return self._exchange(statement, self._seconds_left(), parameters)

    def script(self, statements: str, **ids: Sequence[int]) -> Any:  # noqa: ANN401 - likewise
        """Run constant statements in one round trip; return the first column of the last row, None without rows.

        Each list of ids is there for them as `current_setting('linking.<name>')`, until the transaction or the
        savepoint is over.
        """
        seconds = self._seconds_left()
        settings = "".join(
            f"SELECT set_config('linking.{name}', '{{{','.join(map(str, values))}}}', true);"
            for name, values in ids.items()
        )
        return self._exchange(
            f"SET LOCAL statement_timeout = {_milliseconds(seconds)}; {settings}{statements}", seconds
        )

    @contextmanager
    def transaction(self, *, commit: bool = True) -> Iterator[None]:
        """One transaction, committed at the end or, where `commit` is false, rolled back."""
        seconds = self._seconds_left()
        # A connection that died in silence is told by this first statement, with time left for a new one.
        self._exchange(_begin(_milliseconds(seconds)), min(seconds / 3, CONNECT_SECONDS))
        try:
            with _cut_after(self.connection, self._seconds_left() + GRACE_SECONDS):
                yield
                if commit:
                    self._commit()
                else:
                    self._exchange("ROLLBACK", self._seconds_left())
        except BaseException:
            with suppress(Exception):
                self._exchange("ROLLBACK", 0)
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing: what happens inside is undone where the server or the caller refuses it."""
        self.script("SAVEPOINT key")
        try:
            yield
        except (Refused, NonExistentCourse):
            self._exchange("ROLLBACK TO SAVEPOINT key; RELEASE SAVEPOINT key", self._seconds_left())
            raise
        self.script("RELEASE SAVEPOINT key")

    def _commit(self) -> None:
        try:
            self._exchange("COMMIT", self._seconds_left())
        except ConnectionLost as error:
            raise LinkingUnavailable(
                "The connection to the database was lost during COMMIT. The outcome is unknown: the batch was linked"
                " whole or not at all. Repeating it is safe: keys that are linked already will say so."
            ) from error

    def _seconds_left(self) -> float:
        """The time left, never zero; raise `LinkingUnavailable` where it is over."""
        if (seconds := self.deadline - time.monotonic()) <= 0:
            raise LinkingUnavailable(OUT_OF_TIME_MESSAGE)
        return seconds

    def _exchange(self, sql: str, seconds: float, parameters: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        """Send SQL and return the first column of the last row that comes back.

        The server's own time-out comes first; the socket's, a little later, is for a server that does not answer.
        Anything but the server's own error may leave answers unread, so that the connection is closed.
        """
        try:
            _set_timeout(self.connection, seconds + GRACE_SECONDS)
            rows = self.connection.run(sql, **(parameters or {}))
        except DatabaseError as error:
            raise _meaning(error) from error
        except BaseException as error:
            close(self.connection)
            if isinstance(error, InterfaceError | OSError):
                raise ConnectionLost(str(error)) from error
            raise
        return rows[-1][0] if rows else None


def _begin(milliseconds: int) -> str:
    """Start a transaction that the server ends by itself where its client is slow, gone or frozen.

    Foreign keys are checked with each statement: Open edX defers them to COMMIT, where one deleted user would fail the
    whole batch. Each join goes from a list to rows by index, whatever old statistics or a small table may suggest.
    """
    return f"""
        BEGIN ISOLATION LEVEL READ COMMITTED;
        SET CONSTRAINTS ALL IMMEDIATE;
        SET LOCAL enable_seqscan = off;
        SET LOCAL enable_hashjoin = off;
        SET LOCAL enable_mergejoin = off;
        SET LOCAL jit = off;
        SET LOCAL lock_timeout = {milliseconds};
        SET LOCAL statement_timeout = {milliseconds};
        SET LOCAL idle_in_transaction_session_timeout = {milliseconds};
        SET LOCAL client_connection_check_interval = 500
    """


@contextmanager
def _cut_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection when the time is over: its own time-out begins anew with each packet that arrives."""
    timer = Timer(seconds, _shut_down, [connection._usock])  # noqa: SLF001 - see _set_timeout
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # beneath TLS, whose state belongs to the thread that reads


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


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
    _set_timeout(connection, None)
    if not host.startswith("/"):
        # As libpq does: the second part of a long message must not wait until the first one is acknowledged.
        connection._usock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # noqa: SLF001 - see _set_timeout
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


def close(connection: Connection) -> None:
    """Close a connection, which may be closed or broken already."""
    with suppress(Exception):
        connection.close()


def _set_timeout(connection: Connection, seconds: float | None) -> None:
    # pg8000 has no public way to change the time-out of an open connection.
    connection._usock.settimeout(seconds)  # noqa: SLF001


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


def _meaning(error: Exception) -> Exception:
    """Tell a verdict on the data from trouble with the server."""
    fields: dict[str, str] = error.args[0]
    sqlstate, message = fields["C"], fields["M"].partition("\n")[0]
    match sqlstate, sqlstate[:2]:
        case (("40001" | "40P01"), _):  # serialization failure, deadlock
            return Contention(message)
        case (("55P03" | "57014"), _):  # lock and statement time-outs
            return LinkingUnavailable(OUT_OF_TIME_MESSAGE)
        case _, ("08" | "25" | "53" | "57" | "58"):  # connection, a standby, resources, operator, system
            return ConnectionLost(message)
        case _, ("22" | "23" | "P0"):  # data, constraint, a trigger's own
            return Refused(message, sqlstate, fields.get("n"), fields.get("D"))
        case _, ("42" | "3F"):  # no such table, column, privilege or schema
            return DatabaseNotReady(_not_ready(message))
    return error


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


def _not_ready(message: str) -> str:
    return (
        f"The database is not ready for linking: {message}. Run `python -m program_enrollments.migrate` against a"
        " database of your own; on Open edX's, look at the tables and at the grants of the service's role."
    )
