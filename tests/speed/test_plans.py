"""In a large LMS, a small batch reads by index what it needs, and nothing else."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.roster import Roster, add_courses, add_roster, add_surroundings
from local.lms import Lms
from program_enrollments.linking import queries
from program_enrollments.postgres.session import Session

LARGE = 10_000
SMALL_BATCH = 10


@pytest.fixture
def large_lms(lms: Lms) -> Lms:
    """200,000 users and 500,000 course enrollments, with statistics up to date."""
    add_courses(lms)
    add_surroundings(lms, users=200_000, course_enrollments=500_000)
    return lms


def test_no_statement_scans_a_large_table(large_lms: Lms) -> None:
    """No statement of a 10-key batch scans a table of more than 10,000 rows."""
    roster = add_roster(large_lms, SMALL_BATCH)
    large = {
        name
        for name, rows in large_lms.run("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'")
        if rows > LARGE
    }
    assert {"auth_user", "student_courseenrollment", "program_enrollments_programcourseenrollment"} <= large
    scanned = {
        (statement.strip()[:60], node["Relation Name"])
        for statement, plan in plans(large_lms, roster)
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan"
    }
    assert {table for _, table in scanned} & large == set(), scanned


def plans(lms: Lms, roster: Roster) -> Iterator[tuple[str, dict[str, Any]]]:
    """What PostgreSQL would do for each statement of a batch, with the settings that the statements before left."""
    keys = list(roster.external_keys_to_usernames)
    request = {
        "program_uuid": roster.program_uuid,
        "curriculum_uuid": None,
        "external_user_keys": keys,
        "usernames": list(roster.external_keys_to_usernames.values()),
    }
    with Session(lms.connection, time.monotonic() + 60).transaction(commit=False):
        lms.run(queries.FIND, **request)
        lms.run("SELECT set_config('linking.enrollments', current_setting('linking.found_enrollments'), true)")
        lms.run("SELECT set_config('linking.users', current_setting('linking.found_users'), true)")
        lms.run("SELECT set_config('linking.assignments', '{1,2,3}', true)")
        yield "FIND", explain(lms, queries.FIND, **request)
        scripts = (queries.LOCK_AND_READ, queries.UNLINK, queries.CLAIM, queries.ENROLL, queries.FULFIL_ROLES)
        for statement in ";".join(scripts).split(";"):
            yield statement, explain(lms, statement)


def explain(lms: Lms, statement: str, **parameters: object) -> dict[str, Any]:
    """The plan of a statement."""
    plan = lms.run(f"EXPLAIN (FORMAT JSON) {statement}", **parameters)[0][0]
    return dict(plan[0]["Plan"] if isinstance(plan, list) else json.loads(plan)[0]["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
