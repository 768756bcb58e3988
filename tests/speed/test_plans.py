"""In a large LMS, a small batch reads by index what it needs, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.roster import Roster, add_courses, add_linked_roster, add_surroundings
from local.lms import Lms
from program_enrollments import link_program_enrollments

LARGE = 10_000
SMALL_BATCH = 10
WRITES = 5


@pytest.fixture(params=[20_000, pytest.param(200_000, marks=pytest.mark.slow)], ids="{:,} users".format)
def large_lms(lms: Lms, request: pytest.FixtureRequest) -> Lms:
    """So many users, and more course enrollments, with statistics up to date."""
    add_courses(lms)
    add_surroundings(lms, users=request.param, course_enrollments=request.param * 5 // 2)
    return lms


def test_no_statement_scans_a_large_table(large_lms: Lms) -> None:
    """No statement of a 10-key batch scans a table of more than 10,000 rows."""
    roster = add_linked_roster(large_lms, SMALL_BATCH)
    large = {
        name
        for name, rows in large_lms.run("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'")
        if rows > LARGE
    }
    assert {"auth_user", "student_courseenrollment", "program_enrollments_programcourseenrollment"} <= large
    explained = list(plans(large_lms, roster))
    assert len([plan for query, plan in explained if "INSERT INTO" in query]) >= WRITES
    scanned = {
        (query.strip()[:60], node["Relation Name"])
        for query, plan in explained
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan"
    }
    assert {table for _, table in scanned} & large == set(), scanned


def plans(lms: Lms, roster: Roster) -> Iterator[tuple[str, dict[str, Any]]]:
    """The plans of all statements of a relinking batch with roles, those within the script included, as they were."""
    lms.run(f"""
        INSERT INTO program_enrollments_courseaccessroleassignment (created, modified, role, enrollment_id)
        SELECT now(), now(), 'staff', course.id FROM program_enrollments_programcourseenrollment AS course
        JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
        WHERE program_uuid = '{roster.program_uuid}';
        LOAD 'auto_explain';
        SET auto_explain.log_min_duration = 0;
        SET auto_explain.log_nested_statements = on;
        SET auto_explain.log_format = json;
        SET auto_explain.log_level = notice
    """)
    lms.connection.notices.clear()
    keys = roster.external_keys_to_usernames
    assert link_program_enrollments(lms.connection, roster.program_uuid, keys, relink=True).linked == SMALL_BATCH
    for notice in lms.connection.notices:
        explained = json.loads(notice[b"M"].partition(b"plan:\n")[2])
        yield explained["Query Text"], explained["Plan"]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
