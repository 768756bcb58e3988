"""The option `dry_run`: the answer that a real run would give now, with nothing changed."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pg8000.native import Connection

from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, Post, Printed, refuse, snapshot

CURRICULA = ["c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"]
COURSES = ["edX/First/2026", "course-v1:edX+Second+2026", "edX/Gone/2026"]
USERNAMES = ["alice", "bob", "carol", "nobody"]
KEYS = ["a", "A", "b", "c", "d"]


@dataclass(frozen=True)
class World:
    """An LMS and a request to it: each key's enrollments as (curriculum, holder, course to status)."""

    enrollments: dict[str, list[tuple[str, str | None, dict[str, str]]]]
    course_enrollments: dict[tuple[str, str], tuple[str, bool]]
    request: dict[str, str]
    options: dict[str, bool | str]


worlds = st.builds(
    World,
    enrollments=st.dictionaries(
        st.sampled_from(KEYS),
        st.lists(
            st.tuples(
                st.sampled_from(CURRICULA),
                st.sampled_from([None, None, None, *USERNAMES[:3]]),
                st.dictionaries(st.sampled_from(COURSES), st.sampled_from(["active", "inactive"]), max_size=3),
            ),
            unique_by=lambda enrollment: enrollment[0],
            min_size=1,
        ),
        min_size=2,
    ),
    course_enrollments=st.dictionaries(
        st.tuples(st.sampled_from(USERNAMES[:3]), st.sampled_from(COURSES)),
        st.tuples(st.sampled_from(["audit", "honor", "masters", "verified"]), st.booleans()),
        max_size=4,
    ),
    request=st.dictionaries(st.sampled_from([*KEYS[2:], "a"]), st.sampled_from(USERNAMES), min_size=1),
    options=st.fixed_dictionaries(
        {}, optional={"relink": st.booleans(), "ignore_case": st.booleans(), "curriculum_uuid": st.just(CURRICULA[0])}
    ),
)


def build(lms: Lms, world: World) -> None:
    """Make the world in an LMS that is emptied first; a user holds at most one key of a curriculum."""
    lms.run(f"TRUNCATE {', '.join(snapshot(lms))}")
    users = {username: lms.user(username) for username in USERNAMES[:3]}
    for course_key in COURSES[:2]:
        lms.course(course_key)
    taken = set()
    for key, enrollments in world.enrollments.items():
        for curriculum, wanted, courses in enrollments:
            holder = None if (wanted, curriculum) in taken else wanted
            taken.add((holder, curriculum))
            lms.enrollment(key, courses, user_id=users[holder] if holder else None, curriculum=curriculum)
    for (username, course_key), (mode, is_active) in world.course_enrollments.items():
        lms.course_enrollment(users[username], course_key, mode, is_active=is_active)


@given(world=worlds)
def test_same_answer(lms: Lms, invoke: Invoke, world: World) -> None:
    """A dry run changes no row and gives the very answer that the real run then gives."""
    build(lms, world)
    before = snapshot(lms)
    dry = invoke(world.request, **world.options, dry_run=True)
    assert snapshot(lms) == before
    real = invoke(world.request, **world.options)
    assert dry == {**real, "dry_run": True}
    assert list(dry["errors"]) == list(real["errors"])


def test_answer(lms: Lms, invoke: Invoke, post: Post) -> None:
    """The answer of a dry run says that it is one; that of a real run does not speak of it."""
    lms.user("alice")
    lms.enrollment("student-001")
    answer = {
        "program_uuid": PROGRAM,
        "linked": 1,
        "errors": {"student-002": "No user found with username nobody"},
        "error_codes": {"student-002": "user-not-found"},
    }
    keys = {"student-001": "alice", "student-002": "nobody"}
    body = {"program_uuid": PROGRAM, "external_keys_to_usernames": keys}
    assert post({**body, "dry_run": True}) == (207, {**answer, "dry_run": True})
    assert invoke(keys, dry_run=True) == {**answer, "dry_run": True}
    assert invoke(keys, dry_run=False) == answer


def test_empty_map(post: Post) -> None:
    """A dry run of nothing is one, too."""
    assert post({"program_uuid": PROGRAM, "external_keys_to_usernames": {}, "dry_run": True}) == (
        200,
        {"program_uuid": PROGRAM, "linked": 0, "errors": {}, "error_codes": {}, "dry_run": True},
    )


def test_every_write_is_undone(lms: Lms, invoke: Invoke) -> None:
    """Nothing stays of what a dry run tried: links, course enrollments, unlinking, roles, history."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.course_enrollment(alice, lms.course(), "audit")
    lms.role_assignment(lms.enrollment("student-001", [DEMO_COURSE]), DEMO_COURSE)
    lms.enrollment("student-002", [DEMO_COURSE], user_id=bob)
    lms.user("carol")
    before = snapshot(lms)
    answer = invoke({"student-001": "alice", "student-002": "carol"}, relink=True, dry_run=True)
    assert (answer["linked"], answer["errors"]) == (2, {})
    assert snapshot(lms) == before


def test_refused_key(lms: Lms, invoke: Invoke) -> None:
    """A dry run meets the constraints that a real run would meet."""
    for number in range(5):
        lms.user(f"learner-{number}")
        lms.enrollment(f"student-{number}")
    refuse(lms, "program_enrollments_programenrollment", "NEW.external_user_key = 'student-3'")
    before = snapshot(lms)
    answer = invoke({f"student-{number}": f"learner-{number}" for number in range(5)}, dry_run=True)
    assert (answer["linked"], answer["errors"]) == (4, {"student-3": "IntegrityError: refused by a trigger"})
    assert snapshot(lms) == before


def test_no_lock_outlives_it(lms: Lms, other_session: Connection, invoke: Invoke) -> None:
    """After a dry run no transaction is open and no row is locked, though the connection stays warm."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice"}, dry_run=True)
    assert (
        lms.run("""
        SELECT application_name, state FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL
            AND pid <> pg_backend_pid()
    """)
        == []
    )
    other_session.run("BEGIN")
    for table in snapshot(lms):
        other_session.run(f"SELECT FROM {table} FOR UPDATE NOWAIT")
        other_session.run(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT")
    other_session.run("ROLLBACK")


@pytest.mark.parametrize("dry_run", [True, False])
def test_log_and_metrics(lms: Lms, invoke: Invoke, printed: Printed, *, dry_run: bool) -> None:
    """Log and metrics of a dry run say that it is one, so that nobody counts its keys as linked."""
    lms.user("alice")
    lms.enrollment("student-001")
    invoke({"student-001": "alice", "student-002": "nobody"}, dry_run=dry_run)
    records = printed()
    assert [record["dry_run"] for record in records if "errors" in record] == [dry_run]
    dimensions = [record["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for record in records if "_aws" in record]
    said = [record.get("dry_run") for record in records if "_aws" in record]
    if dry_run:
        assert dimensions == [[["service", "dry_run"]], [["service", "dry_run", "error_code"]]]
        assert said == ["true", "true"]
    else:
        assert dimensions == [[["service"]], [["service", "error_code"]]]
        assert said == [None, None]
