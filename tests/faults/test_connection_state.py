"""Whatever happens in a transaction, the caller's connection is usable afterwards, or closed."""

import math
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pg8000.native import Connection

from local.lms import PROGRAM, Lms
from local.proxy import Proxy
from program_enrollments import ConnectionLost, DatabaseNotReady, LinkingUnavailable, connect, link_program_enrollments
from program_enrollments.postgres import session
from program_enrollments.postgres.session import close
from tests.faults.support import link

IDLE = b"I"


@pytest.fixture
def connection(lms: Lms) -> Iterator[Connection]:
    """A library caller's own connection, to an LMS in which student-001 waits for alice."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    connection = connect()
    yield connection
    close(connection)


def assert_usable(connection: Connection) -> None:
    """Hold that the connection is in no transaction, and links."""
    assert connection.run("SELECT 1") == [[1]]
    assert connection._transaction_status == IDLE  # noqa: SLF001 - nothing else says it
    assert link_program_enrollments(connection, PROGRAM, {"student-001": "alice"}).linked == 1


def refuse_once(lms: Lms, sqlstate: str) -> None:
    """Let the first write of a program enrollment fail with an error of the server."""
    lms.run(f"""
        CREATE SEQUENCE attempts;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            IF nextval('attempts') = 1 THEN
                RAISE EXCEPTION 'not this time' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON program_enrollments_programenrollment
        FOR EACH ROW EXECUTE FUNCTION refuse()
    """)


@pytest.mark.parametrize("setting", ["lock_timeout = '-5'", "no_such_setting = 1", "jit = perhaps"])
def test_a_refused_begin(connection: Connection, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """A server that refuses a setting of the transaction is not ready, and the connection is usable."""
    with monkeypatch.context() as patched:
        patched.setattr(session, "_begin", lambda _: f"BEGIN; SET LOCAL {setting}")
        with pytest.raises(DatabaseNotReady):
            link_program_enrollments(connection, PROGRAM, {"student-001": "alice"})
    assert_usable(connection)


def test_a_transaction_that_was_left_open(connection: Connection) -> None:
    """A connection in a failed transaction is refused as lost, and usable afterwards."""
    connection.run("BEGIN")
    with suppress(Exception):
        connection.run("SELECT 1 / 0")
    with pytest.raises(ConnectionLost, match="current transaction is aborted"):
        link_program_enrollments(connection, PROGRAM, {"student-001": "alice"})
    assert_usable(connection)


@pytest.mark.parametrize("sqlstate", ["25006", "42501", "53200", "55P03", "57014", "58030"])
def test_a_failed_batch(connection: Connection, lms: Lms, sqlstate: str) -> None:
    """After an error that fails the whole batch, the connection is usable."""
    refuse_once(lms, sqlstate)
    with pytest.raises((ConnectionLost, DatabaseNotReady, LinkingUnavailable)):
        link_program_enrollments(connection, PROGRAM, {"student-001": "alice"})
    assert_usable(connection)


def test_a_closed_connection(connection: Connection) -> None:
    """A connection that is closed is lost, whoever closed it."""
    close(connection)
    with pytest.raises(ConnectionLost, match="the connection is closed"):
        link_program_enrollments(connection, PROGRAM, {"student-001": "alice"})


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_a_connection_that_dies_at_rollback(connection: Connection, lms: Lms, line: Proxy, sqlstate: str) -> None:
    """A connection that dies while a deadlock is rolled back costs one reconnect, and no error."""
    refuse_once(lms, sqlstate)
    line.cut_before = "ROLLBACK"
    assert link({"student-001": "alice"})["linked"] == 1
    assert len(line.flows) == 2


@pytest.mark.parametrize("seconds", [math.inf, 1e12, 2_147_484])
def test_more_time_than_there_is(connection: Connection, seconds: float) -> None:
    """A caller may give a batch any time, however long."""
    assert link_program_enrollments(connection, PROGRAM, {"student-001": "alice"}, seconds=seconds).linked == 1
