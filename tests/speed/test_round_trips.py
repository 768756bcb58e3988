"""What a batch costs on the wire does not grow with its size."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.roster import Roster, add_courses, add_linked_roster, add_roster
from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from local.lms import CURRICULUM, Lms
from local.proxy import Proxy, proxy
from tests.support import refuse

CLEAN_BATCH = 10
MOST = 20


@pytest.fixture
def wire(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way of the service to its database, counted; the connection is warm."""
    add_courses(lms)
    with proxy(os.environ["PGHOST"], int(os.environ["PGPORT"])) as wire:
        for name, value in wire.environment.items():
            monkeypatch.setenv(name, value)
        link(add_roster(lms, 1))
        wire.round_trips = 0
        yield wire
        forget_connection()


def link(roster: Roster, **options: bool) -> int:
    """Link a roster; return how many keys were linked."""
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
        **options,
    }
    return int(lambda_handler(request, invocation())["linked"])


@pytest.mark.parametrize("size", [10, 1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_clean_batch_takes_ten_round_trips(lms: Lms, wire: Proxy, size: int) -> None:
    """A batch of clean keys takes ten round trips, whatever its size, and one subtransaction."""
    roster = add_roster(lms, size)
    assert link(roster) == size
    assert wire.round_trips == CLEAN_BATCH
    history = "program_enrollments_historicalprogramcourseenrollment"
    written_by = f"SELECT count(DISTINCT xmin::text) FROM {history} WHERE course_key = :course AND id > :first"
    first = lms.run(f"SELECT max(id) - 2 * {size} FROM {history}")[0][0]
    assert lms.run(written_by, course="course-v1:BenchX+C1+R", first=first) == [[1]]


def rekey(lms: Lms, roster: Roster) -> Roster:
    """Give each account of a roster the program under an old key too."""
    lms.run(
        f"""
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), 'old-' || username, '{roster.program_uuid}', '{CURRICULUM}', 'enrolled', id
        FROM auth_user WHERE username = ANY (:usernames)
    """,
        usernames=list(roster.external_keys_to_usernames.values()),
    )
    return roster


@pytest.mark.parametrize("size", [10, 1_000])
def test_doubtful_keys_take_no_more(lms: Lms, wire: Proxy, size: int) -> None:
    """A batch whose accounts all hold the program under an old key takes what a clean one takes, and links nothing."""
    roster = rekey(lms, add_roster(lms, size))
    assert link(roster) == 0
    assert wire.round_trips == CLEAN_BATCH


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["NEW.external_user_key LIKE '%7'", "true"])
def test_unforeseen_refusals_take_no_more(lms: Lms, wire: Proxy, condition: str) -> None:
    """Keys that nothing foretells to be refused are found without one more round trip."""
    roster = add_roster(lms, 1_000)
    refuse(lms, "program_enrollments_programenrollment", condition)
    assert link(roster) == (0 if condition == "true" else 900)
    assert wire.round_trips == CLEAN_BATCH


@pytest.mark.slow
def test_all_options_at_once_take_at_most_twenty(lms: Lms, wire: Proxy) -> None:
    """A batch that ignores case, relinks, and grants roles of which some are refused takes at most 20 round trips."""
    roster = add_linked_roster(lms, 100)
    lms.run("""
        INSERT INTO program_enrollments_courseaccessroleassignment (created, modified, role, enrollment_id)
        SELECT now(), now(), CASE WHEN id % 2 = 0 THEN 'staff' ELSE 'refused' END, id
        FROM program_enrollments_programcourseenrollment
    """)
    refuse(lms, "student_courseaccessrole", "NEW.role = 'refused'")
    upper = Roster(roster.program_uuid, {key.upper(): name for key, name in roster.external_keys_to_usernames.items()})
    wire.round_trips = 0
    assert link(upper, relink=True, ignore_case=True) == 100
    assert len(lms.rows("student_courseaccessrole")) > 0
    assert wire.round_trips <= MOST
