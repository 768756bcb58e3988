"""The database that the PG* variables name, as the verbs reach it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from program_enrollments import LinkingUnavailable
from program_enrollments.postgres.connect import connected
from program_enrollments.postgres.session import Connection
from program_linking.stopped import Stopped

HINT = "Look at PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD, or give --url."


@contextmanager
def database() -> Iterator[Connection]:
    """Connect, and close at the end; raise `Stopped` with what to look at if there is no connection."""
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(connected())
        except LinkingUnavailable as error:
            raise Stopped(f"{error}\n{HINT}") from error
        yield connection
