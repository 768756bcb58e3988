"""Linking through PgBouncer in transaction mode, where a session's state would meet its next user."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pg8000.native import Connection

from lambda_runtime.connection import forget_connection
from local.lms import PROGRAM, Lms
from local.roster import SAMPLE_REQUEST, load_sample_roster
from program_enrollments import LinkingUnavailable, connect
from tests import pooler
from tests.conftest import PASSWORD, SERVICE_ROLE
from tests.faults.support import link, load_large_batch, open_transactions

pytestmark = pytest.mark.skipif(pooler.PROGRAM is None, reason=pooler.MISSING)

# All that a session may keep, as the next user of its server connection would find it. PostgreSQL itself remembers the
# names of custom settings, but not what they were.
SESSION_STATE = """
SELECT json_build_object(
    'settings', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE source = 'session'),
    'linking', (
        SELECT json_agg(nullif(current_setting('linking.' || name, true), ''))
        FROM unnest(ARRAY['program_uuid', 'found_enrollments', 'found_users', 'enrollments', 'users', 'assignments'])
            AS used (name)
    ),
    'statements', (SELECT json_agg(name) FROM pg_prepared_statements),
    'portals', (SELECT json_agg(name) FROM pg_cursors WHERE name <> ''),
    'channels', (SELECT json_agg(channel) FROM pg_listening_channels() AS channel),
    'temporary', (SELECT json_agg(relname) FROM pg_class WHERE relpersistence = 't'),
    'locks', (SELECT json_agg(locktype) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
)
"""


@pytest.fixture
def pooled(
    lms: Lms, server: dict[str, str], worker_id: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Lms]:
    """An LMS to which PG* lead through PgBouncer, with as many server connections as the test says."""
    with pooler.pgbouncer(server, {f"{SERVICE_ROLE}_{worker_id}": PASSWORD}, request.param) as way:
        for name, value in way.items():
            monkeypatch.setenv(name, value)
        forget_connection()
        yield lms
        forget_connection()


@pytest.mark.parametrize("pooled", [2], indirect=True)
def test_every_kind_of_key_is_answered(pooled: Lms) -> None:
    """Each way in which a key can fail is reported through PgBouncer as it is without."""
    load_sample_roster(pooled)
    answer = link(**SAMPLE_REQUEST)  # type: ignore[arg-type]
    assert answer["linked"] == 3
    assert answer["error_codes"] == {
        "student-003": "user-not-found",
        "student-999": "not-in-program",
        "student-004": "already-linked",
        "student-005": "conflict",
        "student-006": "course-not-found",
        "student-007": "integrity-error",
    }


@pytest.mark.parametrize("pooled", [2], indirect=True)
def test_every_option_works(pooled: Lms) -> None:
    """A dry run changes nothing, case is ignored and an account is replaced, through PgBouncer too."""
    course_key = pooled.course(modes={"audit": None})
    alice, bob = pooled.user("alice"), pooled.user("bob")
    pooled.enrollment("Student-001", [course_key])
    assert link({"STUDENT-001": "alice"}, ignore_case=True, dry_run=True)["linked"] == 1
    assert pooled.rows("student_courseenrollment") == []
    assert link({"STUDENT-001": "alice"}, ignore_case=True)["linked"] == 1
    assert link({"Student-001": "bob"}, relink=True)["linked"] == 1
    assert pooled.rows("student_courseenrollment", "user_id, mode, is_active") == [
        [alice, "audit", False],
        [bob, "masters", True],
    ]


@pytest.mark.parametrize("pooled", [2], indirect=True)
def test_many_callers_share_few_connections(pooled: Lms, record_property: Callable[[str, object], None]) -> None:
    """Eight callers at once over two server connections each get the answer to what they asked."""
    batch = list(load_large_batch(pooled, 800).items())

    def caller(number: int) -> dict[str, Any]:
        forget_connection()
        return link(dict(batch[number * 20 : number * 20 + 20]) | {f"nobody-{number}": f"nobody-{number}"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(caller, range(40)))
    for number, answer in enumerate(answers):
        assert answer == {
            "program_uuid": PROGRAM,
            "linked": 20,
            "errors": {f"nobody-{number}": f"No user found with username nobody-{number}"},
            "error_codes": {f"nobody-{number}": "user-not-found"},
        }
    sessions = pooled.run(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'program-linking' AND pid <> pg_backend_pid()"
    )
    assert sessions == [[2]]


@pytest.mark.parametrize("pooled", [1], indirect=True)
def test_no_session_state_is_left(pooled: Lms) -> None:
    """What linking and connecting leave on a server connection is nothing that its next user could notice."""
    batch = load_large_batch(pooled, 100)
    with connect() as probe:
        before = probe.run(SESSION_STATE)
        server_pid = probe.run("SELECT pg_backend_pid()")
        link(batch)
        link(batch)
        link({"key-1": "nobody"}, dry_run=True, ignore_case=True)
        link({"key-1": "user-2"}, relink=True)
        assert probe.run("SELECT pg_backend_pid()") == server_pid
        assert probe.run(SESSION_STATE) == before
    assert before[0][0] == {
        "settings": {"application_name": "program-linking"},
        "linking": [None] * 6,
        "statements": None,
        "portals": None,
        "channels": None,
        "temporary": None,
        "locks": None,
    }


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [1], indirect=True)
def test_an_exhausted_pool_is_told_in_time(pooled: Lms, other_session: Connection) -> None:
    """A batch for which PgBouncer has no server connection is refused within its 3 s; the next one is linked."""
    batch = load_large_batch(pooled, 10)
    assert link({"key-0": "user-1"})["linked"] == 0
    with connect() as greedy:
        greedy.run("BEGIN")
        started = time.monotonic()
        with pytest.raises(LinkingUnavailable, match=r"(?i)nothing was changed"):
            link(batch, 3_000)
        assert time.monotonic() - started < 3
        greedy.run("ROLLBACK")
    assert link(batch)["linked"] == 10
    assert open_transactions(pooled) == []
