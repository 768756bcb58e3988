"""The connection goes away between and within invocations."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from pg8000.native import Connection

from local.lms import PROGRAM, Lms
from local.postgres import Cluster
from local.proxy import Proxy
from program_enrollments import LinkingUnavailable, connect
from tests.faults.support import link, open_transactions, wait_until, waiting_sessions
from tests.support import Post, Printed

LINKED = {"program_uuid": PROGRAM, "linked": 1, "errors": {}, "error_codes": {}}
LOST_IN_COMMIT = (
    "The connection to the database was lost during COMMIT. The outcome is unknown: the batch was linked whole or not"
    " at all. Repeating it is safe: keys that are linked already will say so."
)


def make_warm(lms: Lms) -> None:
    """Link student-000, so that the process has an open connection, and let student-001 wait."""
    lms.user("alice")
    lms.user("bob")
    course_key = lms.course()
    lms.enrollment("student-000", [course_key])
    lms.enrollment("student-001", [course_key])
    assert link({"student-000": "bob"}) == LINKED


def test_a_restarted_server_costs_one_reconnect(mortal: Cluster) -> None:
    """A batch after a restart of the server is linked at the first call."""
    with connect() as connection:
        make_warm(Lms(connection))
    mortal.stop()
    mortal.start()
    assert link({"student-001": "alice"}) == LINKED


def test_a_stopped_server_is_told_at_once(mortal: Cluster) -> None:
    """A batch without a server is refused at once, and the first one after it is linked."""
    with connect() as connection:
        make_warm(Lms(connection))
    mortal.stop()
    started = time.monotonic()
    with pytest.raises(LinkingUnavailable, match=r"cannot be reached: .* Nothing was changed\."):
        link({"student-001": "alice"})
    assert time.monotonic() - started < 1
    mortal.start()
    assert link({"student-001": "alice"}) == LINKED


def test_a_terminated_idle_session_costs_one_reconnect(lms: Lms, line: Proxy, printed: Printed) -> None:
    """A batch on a connection that the server has ended is linked, over one new connection; that is logged, counted."""
    make_warm(lms)
    printed()
    lms.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert link({"student-001": "alice"}) == LINKED
    assert len(line.flows) == 2
    warning, metric, *_ = printed()
    assert (warning["level"], warning["message"]) == ("WARNING", "The connection failed; once more on a new one")
    assert warning["reason"] == "terminating connection due to administrator command"
    assert (metric["Reconnects"], metric["service"]) == ([1.0], "program-linking")


def test_a_session_terminated_within_a_batch_costs_one_reconnect(
    lms: Lms, other_session: Connection, line: Proxy
) -> None:
    """A batch whose session is ended half-way is begun again on a new connection, and linked once."""
    make_warm(lms)
    with ThreadPoolExecutor() as pool:
        answer = _blocked(pool, lms, other_session)
        _terminate_waiting(lms)
        other_session.run("ROLLBACK")
        assert answer.result() == LINKED
    assert len(line.flows) == 2
    assert lms.rows("program_enrollments_historicalprogramenrollment", "external_user_key, history_type") == [
        ["student-000", "~"],
        ["student-001", "~"],
    ]


def test_a_session_terminated_twice_is_told(lms: Lms, other_session: Connection, line: Proxy) -> None:
    """A batch that loses two connections is refused, with nothing changed; the next one is linked."""
    make_warm(lms)
    with ThreadPoolExecutor() as pool:
        answer = _blocked(pool, lms, other_session)
        _terminate_waiting(lms)
        wait_until(lambda: waiting_sessions(lms))
        _terminate_waiting(lms)
        with pytest.raises(LinkingUnavailable) as refusal:
            answer.result()
    assert str(refusal.value) == (
        "The connection to the database was lost twice; nothing was changed."
        " The last reason: terminating connection due to administrator command."
    )
    other_session.run("ROLLBACK")
    assert link({"student-001": "alice"}) == LINKED


@pytest.mark.slow
def test_an_idle_connection_that_a_firewall_forgot_costs_one_reconnect(
    lms: Lms, line: Proxy, record_property: Callable[[str, object], None]
) -> None:
    """A batch on a connection whose packets vanish is linked over a new one, well within its time."""
    make_warm(lms)
    line.drop()
    started = time.monotonic()
    assert link({"student-001": "alice"}, 6_000) == LINKED
    seconds = time.monotonic() - started
    assert seconds < 4
    assert len(line.flows) == 2
    record_property("figures", f"linked after {seconds:.1f} s, with 6 s left")


@pytest.mark.slow
def test_packets_that_vanish_within_a_batch_are_told_in_time(
    lms: Lms, other_session: Connection, line: Proxy, record_property: Callable[[str, object], None]
) -> None:
    """A batch whose answers stay out is refused within its time, and the server ends its transaction."""
    make_warm(lms)
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        answer = _blocked(pool, lms, other_session, 3_000)
        line.drop()
        other_session.run("ROLLBACK")
        with pytest.raises(LinkingUnavailable, match="nothing was changed"):
            answer.result()
    seconds = time.monotonic() - started
    assert seconds < 3
    gone = wait_until(lambda: not open_transactions(lms), 3)
    record_property("figures", f"reported after {seconds:.2f} of 3 s, the transaction gone {gone:.2f} s later")
    assert link({"student-001": "alice"}) == LINKED


@pytest.mark.slow
def test_a_network_that_takes_no_packets_is_told_in_time(lms: Lms, line: Proxy, post: Post) -> None:
    """A batch without a network is refused within its time; with the network back, the next one is linked."""
    make_warm(lms)
    line.drop()
    line.is_dropping = True
    started = time.monotonic()
    with pytest.raises(LinkingUnavailable, match=r"(?i)nothing was changed"):
        link({"student-001": "alice"}, 3_000)
    assert time.monotonic() - started < 3
    line.is_dropping = False
    assert link({"student-001": "alice"}) == LINKED


@pytest.mark.parametrize(
    ("attribute", "repeated"),
    [("cut_before", {}), ("cut_after", {"student-001": "already-linked"})],
    ids=["before COMMIT arrives", "before its answer arrives"],
)
def test_a_connection_cut_at_commit_leaves_the_outcome_unknown(
    lms: Lms, line: Proxy, post: Post, attribute: str, repeated: dict[str, str]
) -> None:
    """A batch that is cut off at COMMIT is reported as unknown, and repeating it ends in the right state."""
    make_warm(lms)
    setattr(line, attribute, "COMMIT")
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}})
    assert (status, answer["message"]) == (503, LOST_IN_COMMIT)
    assert link({"student-001": "alice"})["error_codes"] == repeated
    assert lms.rows("program_enrollments_historicalprogramenrollment", "external_user_key, history_type") == [
        ["student-000", "~"],
        ["student-001", "~"],
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "client_connection_check_interval = 500",
        "WHERE held.program_uuid = current_setting('linking.program_uuid')::uuid\n    )\n)",
        "SELECT current_setting('savepoints.result')::json",
        "ROLLBACK",
    ],
    ids=["BEGIN", "the reading", "the writing", "ROLLBACK"],
)
def test_a_connection_cut_anywhere_else_costs_one_reconnect(lms: Lms, line: Proxy, statement: str) -> None:
    """A batch that is cut off at any other statement is linked as if nothing had happened."""
    make_warm(lms)
    lms.enrollment("student-002", ["course-v1:edX+Gone+2026"])
    lms.enrollment("student-003", ["course-v1:edX+DemoX+2026"])
    line.cut_before = statement
    answer = link({"student-001": "alice", "student-003": "alice"}, dry_run=statement == "ROLLBACK")
    assert answer["linked"] == 1
    assert answer["error_codes"] == {"student-003": "integrity-error"}
    assert len(line.flows) == 2


def test_other_settings_are_another_database(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm connection serves no request for a database that the settings do not name any more."""
    make_warm(lms)
    monkeypatch.setenv("PGDATABASE", "no_such_database")
    with pytest.raises(LinkingUnavailable, match="no_such_database"):
        link({"student-001": "alice"})


def _blocked(
    pool: ThreadPoolExecutor, lms: Lms, other_session: Connection, milliseconds: int = 28_000
) -> "Future[dict[str, Any]]":
    """Link student-001 while another session holds its lock; return when the batch waits for it."""
    other_session.run("BEGIN")
    other_session.run(
        "SELECT FROM program_enrollments_programenrollment WHERE external_user_key = 'student-001' FOR UPDATE"
    )
    answer = pool.submit(link, {"student-001": "alice"}, milliseconds)
    wait_until(lambda: waiting_sessions(lms))
    return answer


def _terminate_waiting(lms: Lms) -> None:
    for pid in waiting_sessions(lms):
        lms.run("SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
