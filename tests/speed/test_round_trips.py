"""What a batch costs on the wire does not grow with its size."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.roster import Roster, add_courses, add_roster
from functions.link.app import lambda_handler
from lambda_runtime.connection import forget_connection
from local.invocation import invocation
from local.lms import CURRICULUM, Lms
from local.proxy import Proxy, proxy

CLEAN_BATCH = 10
EACH_DOUBTFUL_KEY = 3


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


def link(roster: Roster) -> int:
    """Link a roster; return how many keys were linked."""
    request = {
        "program_uuid": roster.program_uuid,
        "external_keys_to_usernames": roster.external_keys_to_usernames,
    }
    return int(lambda_handler(request, invocation())["linked"])


@pytest.mark.parametrize("size", [10, 1_000, 10_000])
def test_a_clean_batch_takes_ten_round_trips(lms: Lms, wire: Proxy, size: int) -> None:
    """A batch of clean keys takes ten round trips, whatever its size, and one subtransaction."""
    roster = add_roster(lms, size)
    assert link(roster) == size
    assert wire.round_trips == CLEAN_BATCH
    history = "program_enrollments_historicalprogramcourseenrollment"
    written_by = f"SELECT count(DISTINCT xmin::text) FROM {history} WHERE course_key = :course AND id > :first"
    first = lms.run(f"SELECT max(id) - 2 * {size} FROM {history}")[0][0]
    assert lms.run(written_by, course="course-v1:BenchX+C1+R", first=first) == [[1]]


@pytest.mark.parametrize("doubtful", [1, 20])
def test_each_doubtful_key_takes_a_few_more(lms: Lms, wire: Proxy, doubtful: int) -> None:
    """Each key whose user holds the program already costs three round trips more: savepoint, refusal, rollback."""
    roster = add_roster(lms, 1_000)
    for username in list(roster.external_keys_to_usernames.values())[:doubtful]:
        user_id = lms.run("SELECT id FROM auth_user WHERE username = :username", username=username)[0][0]
        lms.enrollment(f"{username}-other", user_id=user_id, program=roster.program_uuid, curriculum=CURRICULUM)
    assert link(roster) == 1_000 - doubtful
    assert wire.round_trips == CLEAN_BATCH + EACH_DOUBTFUL_KEY * doubtful


def test_an_unforeseen_refusal_is_found_by_halving(lms: Lms, wire: Proxy) -> None:
    """One bad key among 10,000 that nothing foretells costs a few dozen round trips."""
    roster = add_roster(lms, 10_000)
    bad_key = list(roster.external_keys_to_usernames)[6_543]
    lms.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON program_enrollments_programenrollment"
        f" FOR EACH ROW WHEN (NEW.external_user_key = '{bad_key}') EXECUTE FUNCTION refuse()"
    )
    assert link(roster) == 9_999
    assert wire.round_trips <= CLEAN_BATCH + 7 * 14
