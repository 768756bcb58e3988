"""Each message of a batch meets each fault: the answer is true, nothing is half done, and the next call is right."""

from typing import Any

import pytest

from lambda_runtime.connection import forget_connection
from local.lms import CURRICULUM, DEMO_COURSE, Lms
from local.proxy import CUT_AFTER, CUT_BEFORE, Proxy
from program_enrollments import DatabaseNotReady, LinkingUnavailable
from tests.faults.support import link, open_transactions, wait_until
from tests.linking.test_meaning import TABLES, contents

BATCH = {"clean": "alice", "doubtful": "bob", "relinked": "carol", "unknown": "alice", "nobody's": "nobody"}
BATCHES = {
    "clean": ({"clean": "alice"}, {}),
    "doubtful, relinked, with roles": (BATCH, {"relink": True}),
    "ignoring case": ({key.upper(): name for key, name in BATCH.items()}, {"ignore_case": True}),
    "dry run": (BATCH, {"relink": True, "dry_run": True}),
}
RAISE = "DO $$ BEGIN RAISE EXCEPTION 'out of something' USING ERRCODE = '{}'; END $$"
FAULTS = {
    CUT_BEFORE: CUT_BEFORE,
    CUT_AFTER: CUT_AFTER,
    "cancelled": "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)",
    "terminated": "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)",
    **{
        name: RAISE.format(sqlstate)
        for name, sqlstate in {
            "deadlock": "40P01",
            "serialization failure": "40001",
            "lock time-out": "55P03",
            "out of memory": "53200",
            "disk full": "53100",
            "read only": "25006",
        }.items()
    },
}
QUICK = {("clean", CUT_AFTER)}
OUT_OF_TIME = {"cancelled", "lock time-out"}
LOGIN, FEWEST_MESSAGES, MOST_MESSAGES = 1, 11, 22


def build(lms: Lms) -> None:
    """Write an LMS for the batches: a waiting key, one whose account holds the program, and one that is another's."""
    lms.run(f"TRUNCATE {', '.join(TABLES)}, auth_user, course_overviews_courseoverview CASCADE")
    lms.course()
    users = {name: lms.user(name) for name in ("alice", "bob", "carol", "dave")}
    lms.enrollment("old", user_id=users["bob"], curriculum=CURRICULUM)
    for key, user_id in {"clean": None, "doubtful": None, "relinked": users["dave"]}.items():
        lms.role_assignment(lms.enrollment(key, [DEMO_COURSE], user_id=user_id), DEMO_COURSE)


def answer_to(batch: dict[str, str], options: dict[str, bool]) -> dict[str, Any] | Exception:
    """The answer, or the error that a caller gets."""
    try:
        return link(batch, **options)
    except (LinkingUnavailable, DatabaseNotReady) as error:
        return error


def has_met_fault(line: Proxy) -> bool:
    """Whether there was a message with that number."""
    return line.replace_at is None


@pytest.mark.storm
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        pytest.param(kind, fault, marks=() if (kind, fault) in QUICK else pytest.mark.slow)
        for kind in BATCHES
        for fault in FAULTS
    ],
)
def test_a_fault_at_any_message(lms: Lms, line: Proxy, kind: str, fault: str) -> None:
    """Whatever message meets the fault, login included, a batch is whole or nothing, and its caller learns which."""
    batch, options = BATCHES[kind]
    build(lms)
    before = contents(lms)
    usual = link(batch, **options)
    after = contents(lms)
    for number in range(LOGIN, MOST_MESSAGES + 2):
        build(lms)
        forget_connection()
        line.round_trips, line.replace_at, line.replacement = 0, number, FAULTS[fault]
        answer = answer_to(batch, options)
        if not has_met_fault(line):
            break
        if isinstance(answer, dict):
            assert (answer, contents(lms)) == (usual, after), number
        elif "outcome is unknown" in str(answer):
            wait_until(lambda: contents(lms) in (before, after))
        else:
            assert fault in OUT_OF_TIME or (number == LOGIN and "cannot be reached" in str(answer)), (number, answer)
            assert contents(lms) == before, (number, answer)
        wait_until(lambda: not open_transactions(lms))
        assert set(link(batch, **options)["errors"]) >= set(usual["errors"])
        assert contents(lms) == after, number
    assert FEWEST_MESSAGES < number <= MOST_MESSAGES + 1
