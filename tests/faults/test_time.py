"""An invocation answers before Lambda kills it, and takes its transaction with it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pg8000.native import Connection

from local.lms import PROGRAM, Lms
from local.proxy import Proxy
from program_enrollments import LinkingUnavailable
from tests.faults.support import IS_SOAK, link, open_transactions, wait_until, waiting_sessions
from tests.support import Printed

LINKED = {"program_uuid": PROGRAM, "linked": 2, "errors": {}, "error_codes": {}}
BATCH = {"student-001": "alice", "student-002": "bob"}
ANOTHER = "another transaction was faster"
OUT_OF_TIME = (
    "The batch could not be finished in time and was rolled back; nothing was changed. Send it again, or in halves."
)


@pytest.fixture
def warm_lms(lms: Lms) -> Lms:
    """An LMS with two students who wait, in a process that has an open connection."""
    course_key = lms.course()
    for key, username in BATCH.items():
        lms.course_enrollment(lms.user(username), course_key, "audit")
        lms.enrollment(key, [course_key])
    assert link({"student-000": "alice"})["linked"] == 0
    return lms


@pytest.mark.slow
@pytest.mark.parametrize(
    "locked",
    [
        "SELECT FROM program_enrollments_programenrollment FOR UPDATE",
        "SELECT FROM student_courseenrollment FOR UPDATE",
        "SELECT FROM auth_user FOR UPDATE",
        "LOCK TABLE program_enrollments_programcourseenrollment",
        "LOCK TABLE student_courseenrollment_history",
    ],
)
def test_a_lock_is_not_waited_for_too_long(
    warm_lms: Lms, other_session: Connection, locked: str, record_property: Callable[[str, object], None]
) -> None:
    """A batch that meets somebody else's lock is refused within its 3 s, and its transaction is gone."""
    other_session.run("BEGIN")
    other_session.run(locked)
    seconds = _seconds_until_refused(3_000)
    assert len(open_transactions(warm_lms)) == 1  # the other session's
    assert waiting_sessions(warm_lms) == []
    record_property("figures", f"refused after {seconds:.2f} of 3 s")
    other_session.run("ROLLBACK")
    assert link(BATCH) == LINKED


@pytest.mark.slow
@pytest.mark.parametrize("naps", [[5.0], [0.7] * 20], ids=["one long wait", "many short ones"])
def test_a_slow_database_is_not_waited_for_too_long(
    warm_lms: Lms, naps: list[float], record_property: Callable[[str, object], None]
) -> None:
    """A batch in a database that is too slow is refused within its 3 s, and its transaction is gone."""
    statement_seconds = " ".join(f"PERFORM pg_sleep({nap});" for nap in naps)
    warm_lms.run(f"""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement_seconds} RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON program_enrollments_programenrollment
        FOR EACH STATEMENT EXECUTE FUNCTION slow();
    """)
    seconds = _seconds_until_refused(3_000)
    assert open_transactions(warm_lms) == []
    record_property("figures", f"refused after {seconds:.2f} of 3 s")
    warm_lms.run("DROP FUNCTION slow CASCADE")
    assert link(BATCH) == LINKED


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.2, 0.4, 0.8] if IS_SOAK else [0.2])
@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_a_slow_line_is_not_waited_for_too_long(
    warm_lms: Lms, line: Proxy, delay: float, *, is_warm: bool, record_property: Callable[[str, object], None]
) -> None:
    """A batch over a line that is too slow is refused within its 3 s, and its transaction is gone soon after."""
    if is_warm:
        link({"student-000": "alice"})
    line.delay = delay
    seconds = _seconds_until_refused(3_000)
    gone = wait_until(lambda: not open_transactions(warm_lms), 2)
    record_property("figures", f"refused after {seconds:.2f} of 3 s, the transaction gone {gone:.2f} s later")
    line.delay = 0.0
    assert link(BATCH) == LINKED


def test_a_deadlock_is_retried(warm_lms: Lms, other_session: Connection) -> None:
    """A batch that the server picks as a deadlock's victim is linked after all."""
    # Locked in id order: the batch holds the first student's row, and waits for the second's.
    other_session.run("SET deadlock_timeout = '20s'")
    other_session.run("BEGIN")
    other_session.run(_lock("student-002"))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(link, BATCH, 6_000)
        wait_until(lambda: waiting_sessions(warm_lms))
        other_session.run(_lock("student-001"))
        other_session.run("COMMIT")
        assert answer.result() == LINKED
    assert _deadlocks(warm_lms) == 1


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_serialization_failure_is_retried(warm_lms: Lms, sqlstate: str, printed: Printed) -> None:
    """A batch that is rolled back for another transaction's sake is tried until it gets through; each is logged."""
    _refuse_updates(warm_lms, sqlstate, times=3)
    printed()
    assert link(BATCH) == LINKED
    records = printed()
    assert [record["reason"] for record in records if record.get("level") == "WARNING"] == [ANOTHER] * 3
    assert [record["Retries"] for record in records if "Retries" in record] == [[1.0]] * 3
    assert warm_lms.run("SELECT last_value FROM attempts") == [[4]]


@pytest.mark.slow
def test_retries_end_with_the_time(warm_lms: Lms) -> None:
    """A batch that never gets through is refused within its 3 s."""
    _refuse_updates(warm_lms, "40001", times=1_000_000)
    assert f"It was tried again because of: {ANOTHER}" in _refusal_within(3_000)
    assert open_transactions(warm_lms) == []
    assert warm_lms.run("SELECT last_value > 3 FROM attempts") == [[True]]


@pytest.mark.parametrize("milliseconds", [0, 1, 50, -10])
def test_no_time_at_all_is_told(warm_lms: Lms, milliseconds: int) -> None:
    """A batch with no time left is refused at once, and the next one is linked."""
    started = time.monotonic()
    with pytest.raises(LinkingUnavailable):
        link(dict.fromkeys((f"student-{number:04}" for number in range(10_000)), "alice"), milliseconds)
    assert time.monotonic() - started < 1
    assert link(BATCH) == LINKED


def _seconds_until_refused(milliseconds: int) -> float:
    started = time.monotonic()
    _refusal_within(milliseconds)
    return time.monotonic() - started


def _refusal_within(milliseconds: int) -> str:
    started = time.monotonic()
    with pytest.raises(LinkingUnavailable) as refusal:
        link(BATCH, milliseconds)
    assert time.monotonic() - started < milliseconds / 1000
    assert "othing was changed" in str(refusal.value)
    return str(refusal.value)


def _lock(key: str) -> str:
    return f"SELECT FROM program_enrollments_programenrollment WHERE external_user_key = '{key}' FOR UPDATE"


def _deadlocks(lms: Lms) -> int:
    lms.run("SELECT pg_stat_force_next_flush()")
    return int(lms.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0])


def _refuse_updates(lms: Lms, sqlstate: str, times: int) -> None:
    lms.run(f"""
        CREATE SEQUENCE attempts;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            IF nextval('attempts') <= {times} THEN
                RAISE EXCEPTION '{ANOTHER}' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER refuse AFTER UPDATE ON program_enrollments_programenrollment
        FOR EACH STATEMENT EXECUTE FUNCTION refuse();
    """)
