"""One transaction on a connection, and the time that it may take."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from program_enrollments.errors import ConnectionLost, Contention, DatabaseNotReady, LinkingUnavailable, Refused
from program_enrollments.postgres.network import cut_after
from program_enrollments.postgres.sqlstates import OUT_OF_TIME_MESSAGE, meaning

__all__ = ["Connection", "Session", "close", "set_timeout"]

# How long the first statement may take to find that a connection died in silence.
FIRST_ANSWER_SECONDS = 5.0
GRACE_SECONDS = 0.25
# Time-outs of PostgreSQL are milliseconds in 31 bits.
MOST_SECONDS = 2_000_000.0

# Why a transaction is tried again; whoever wants to know listens to this logger.
retries = logging.getLogger("program_enrollments.retries")
retries.addHandler(logging.NullHandler())


class Session:
    """A connection and the moment, on the monotonic clock, at which its work has to be over."""

    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline

    def query(self, statement: str, **parameters: object) -> Any:  # noqa: ANN401 - whatever the statement answers
        """Run one statement with bound parameters; return the first column of its last row, None without rows."""
        return self._exchange(statement, self._seconds_left(), parameters)

    def script(self, statements: str) -> Any:  # noqa: ANN401 - likewise
        """Run constant statements in one round trip; return the first column of the last row, None without rows."""
        seconds = self._seconds_left()
        return self._exchange(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}; {statements}", seconds)

    def transact[T](self, work: Callable[[], T], *, commit: bool = True) -> T:
        """Do the work in a transaction, again and again while a deadlock or a serialization failure rolls it back."""
        reason = ""
        while True:
            try:
                with self.transaction(commit=commit):
                    return work()
            except Contention as error:
                reason = str(error)
                retries.warning("%s", reason)
                # Apart, so that the two do not meet again.
                time.sleep(random.uniform(0, 0.1))  # noqa: S311 # nosec B311
            except LinkingUnavailable as error:
                if reason and str(error) == OUT_OF_TIME_MESSAGE:
                    raise LinkingUnavailable(f"{error} It was tried again because of: {reason}.") from error
                raise

    @contextmanager
    def transaction(self, *, commit: bool = True) -> Iterator[None]:
        """One transaction, committed at the end or, if `commit` is false, rolled back.

        Whatever happens, the connection is in no transaction afterwards, or it is closed.
        """
        try:
            self._begin()
            with cut_after(self.connection._usock, self._seconds_left() + GRACE_SECONDS):  # noqa: SLF001 - see set_timeout
                yield
                if commit:
                    self._commit()
                else:
                    self._exchange("ROLLBACK", self._seconds_left())
        except BaseException:
            self._abandon()
            raise

    def _begin(self) -> None:
        seconds = self._seconds_left()
        try:
            # A connection that died in silence is found by this first statement, with time left for a new one.
            self._exchange(_begin(_milliseconds(seconds)), min(seconds / 3, FIRST_ANSWER_SECONDS))
        except Refused as error:
            raise DatabaseNotReady(
                f"The server refuses to begin a transaction as the service needs it: {error}."
            ) from error

    def _abandon(self) -> None:
        try:
            self._exchange("ROLLBACK", 0)
        except Exception:  # noqa: BLE001 - whatever it is, nobody must find the transaction open
            close(self.connection)

    def _commit(self) -> None:
        try:
            self._exchange("COMMIT", self._seconds_left())
        except ConnectionLost as error:
            raise LinkingUnavailable(
                "The connection to the database was lost during COMMIT. The outcome is unknown: the batch was linked"
                " whole or not at all. Repeating it is safe: keys that are linked already will say so."
            ) from error

    def _seconds_left(self) -> float:
        """The time left, never zero; raise `LinkingUnavailable` if it is over."""
        if (seconds := self.deadline - time.monotonic()) <= 0:
            raise LinkingUnavailable(OUT_OF_TIME_MESSAGE)
        return min(seconds, MOST_SECONDS)

    def _exchange(self, sql: str, seconds: float, parameters: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        """Send SQL and return the first column of the last row that comes back.

        The server's own time-out comes first; the socket's, a little later, is for a server that does not answer.
        Anything but the server's own error may leave answers unread, so that the connection is closed.
        """
        if self.connection._usock is None:  # noqa: SLF001 - see set_timeout
            raise ConnectionLost("the connection is closed")
        said = _said_by_server(self.connection)
        try:
            set_timeout(self.connection, seconds + GRACE_SECONDS)
            rows = self.connection.run(sql, **(parameters or {}))
        except DatabaseError as error:
            raise meaning(error) from error
        except BaseException as error:
            close(self.connection)
            raise _failure(error, said) from error
        return rows[-1][0] if rows else None


def _begin(milliseconds: int) -> str:
    """Start a transaction that the server ends by itself if its client is slow, gone or frozen.

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


def _said_by_server(connection: Connection) -> list[DatabaseError]:
    """The errors that the server sends from now on: pg8000 drops the one with which it closes a connection."""
    said: list[DatabaseError] = []

    def keep(data: bytes, context: Any) -> None:  # noqa: ANN401 - pg8000's own
        connection.handle_ERROR_RESPONSE(data, context)
        said.append(context.error)

    connection.message_types[b"E"] = keep
    return said


def _failure(error: BaseException, said: list[DatabaseError]) -> BaseException:
    """What it means that no answer came; the server may have said why before."""
    match error:
        case InterfaceError() | OSError() if said:
            return ConnectionLost(said[-1].args[0].get("M", ""))
        case TimeoutError() | InterfaceError(__cause__=TimeoutError()):
            return ConnectionLost("the server did not answer in time")
        case InterfaceError() | OSError():
            return ConnectionLost(str(error.__cause__ or error))
        case UnicodeDecodeError():
            return DatabaseNotReady("The database holds text that is not UTF-8: look at its encoding.")
    return error


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def close(connection: Connection) -> None:
    """Close a connection, which may be closed or broken already."""
    with suppress(Exception):
        connection.close()


def set_timeout(connection: Connection, seconds: float | None) -> None:
    """Let an open connection wait so many seconds for its server; pg8000 has no public way to change that."""
    connection._usock.settimeout(seconds)  # noqa: SLF001
