"""One transaction on a connection, and the time that it may take."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from program_enrollments.errors import ConnectionLost, LinkingUnavailable
from program_enrollments.postgres.sqlstates import OUT_OF_TIME_MESSAGE, meaning

__all__ = ["Connection", "Session", "close", "set_timeout"]

# How long the first statement may take to find that a connection died in silence.
FIRST_ANSWER_SECONDS = 5.0
GRACE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Session:
    """A connection and the moment, on the monotonic clock, at which its work has to be over."""

    connection: Connection
    deadline: float

    def query(self, statement: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the statement answers
        """Run one statement with bound parameters; return the first column of its last row, None without rows."""
        return self._exchange(statement, self._seconds_left(), parameters)

    def script(self, statements: str) -> Any:  # noqa: ANN401 - likewise
        """Run constant statements in one round trip; return the first column of the last row, None without rows."""
        seconds = self._seconds_left()
        return self._exchange(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}; {statements}", seconds)

    @contextmanager
    def transaction(self, *, commit: bool = True) -> Iterator[None]:
        """One transaction, committed at the end or, where `commit` is false, rolled back."""
        seconds = self._seconds_left()
        # A connection that died in silence is told by this first statement, with time left for a new one.
        self._exchange(_begin(_milliseconds(seconds)), min(seconds / 3, FIRST_ANSWER_SECONDS))
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
            set_timeout(self.connection, seconds + GRACE_SECONDS)
            rows = self.connection.run(sql, **(parameters or {}))
        except DatabaseError as error:
            raise meaning(error) from error
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
    timer = Timer(seconds, _shut_down, [connection._usock])  # noqa: SLF001 - see set_timeout
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


def close(connection: Connection) -> None:
    """Close a connection, which may be closed or broken already."""
    with suppress(Exception):
        connection.close()


def set_timeout(connection: Connection, seconds: float | None) -> None:
    """Let an open connection wait so many seconds for its server; pg8000 has no public way to change that."""
    connection._usock.settimeout(seconds)  # noqa: SLF001
