"""One savepoint for many keys means the same as one for each, and as the plain way that the contract describes."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from copy import replace
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plain import link_plainly
from local.lms import PROGRAM, Lms
from program_enrollments.linking import decisions
from program_enrollments.linking.batch import link_batch
from program_enrollments.linking.decisions import Batch, Link, Plan, Reading
from program_enrollments.postgres.session import Connection, Session

USERS = ["alice", "bob", "carol", "dave"]
KEYS = ["k1", "k2", "k3", "k4", "k5", "k6"]
COURSES = ["course-v1:A+1+R", "course-v1:B+2+R"]
MISSING = "course-v1:C+3+R"
CURRICULA = ["c0ffee00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000002"]
MODES = ["audit", "honor", "masters", "verified", "professional"]
TABLES = [
    "program_enrollments_programenrollment",
    "program_enrollments_programcourseenrollment",
    "program_enrollments_courseaccessroleassignment",
    "student_courseenrollment",
    "student_courseaccessrole",
    "program_enrollments_historicalprogramenrollment",
    "program_enrollments_historicalprogramcourseenrollment",
    "student_courseenrollment_history",
]


@dataclass(frozen=True)
class World:
    """A small LMS that is dense in conflicts, and a batch for it."""

    course_enrollments: dict[tuple[str, str], tuple[str, bool]]
    enrollments: dict[tuple[str, str], tuple[str | None, dict[str, str]]]
    audit_offered: bool
    batch: dict[str, str]
    relink: bool


worlds = st.builds(
    World,
    course_enrollments=st.dictionaries(
        st.tuples(st.sampled_from(USERS), st.sampled_from(COURSES)),
        st.tuples(st.sampled_from(MODES), st.booleans()),
    ),
    enrollments=st.dictionaries(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(CURRICULA)),
        st.tuples(
            st.none() | st.sampled_from(USERS),
            st.dictionaries(
                st.sampled_from(COURSES) | st.sampled_from([*COURSES, MISSING]), st.sampled_from(["active", "inactive"])
            ),
        ),
        min_size=1,
    ),
    audit_offered=st.booleans(),
    batch=st.dictionaries(st.sampled_from([*KEYS, "k7"]), st.sampled_from([*USERS, "nobody"]), min_size=1),
    relink=st.booleans(),
)


def build(lms: Lms, world: World) -> None:
    """Write the world into an LMS that may hold another one."""
    lms.run(
        f"TRUNCATE {', '.join(TABLES)}, auth_user, course_modes_coursemode, course_overviews_courseoverview CASCADE"
    )
    users = {username: lms.user(username) for username in USERS}
    for course_key in COURSES:
        lms.course(course_key, {"masters": None} | ({"audit": None} if world.audit_offered else {}))
    ids = {
        (username, course_key): lms.course_enrollment(users[username], course_key, mode, is_active=is_active)
        for (username, course_key), (mode, is_active) in world.course_enrollments.items()
    }
    held = set()
    for (key, curriculum), (holder, courses) in world.enrollments.items():
        user_id = users[holder] if holder and (holder, curriculum) not in held else None
        held.add((holder, curriculum))
        id_ = lms.enrollment(key, courses, user_id=user_id, curriculum=curriculum)
        for course_key in courses:
            if user_id and (course_enrollment_id := ids.get((str(holder), course_key))):
                lms.run(
                    "UPDATE program_enrollments_programcourseenrollment"
                    " SET course_enrollment_id = :course_enrollment_id"
                    " WHERE program_enrollment_id = :id AND course_key = :course_key",
                    course_enrollment_id=course_enrollment_id,
                    id=id_,
                    course_key=course_key,
                )


# What the tables say, with names in place of the ids that differ from run to run, and without the times.
CONTENTS = [
    """
    SELECT external_user_key, curriculum_uuid, account.username, enrollment.modified > enrollment.created
    FROM program_enrollments_programenrollment AS enrollment LEFT JOIN auth_user AS account ON account.id = user_id
    """,
    """
    SELECT external_user_key, curriculum_uuid, course_key, course.status, username, course.modified > course.created
    FROM program_enrollments_programcourseenrollment AS course
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
    LEFT JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course_enrollment_id
    LEFT JOIN auth_user AS account ON account.id = course_enrollment.user_id
    """,
    """
    SELECT username, course_id, mode, course_enrollment.is_active
    FROM student_courseenrollment AS course_enrollment JOIN auth_user AS account ON account.id = user_id
    """,
    """
    SELECT external_user_key, curriculum_uuid, username, history_type
    FROM program_enrollments_historicalprogramenrollment LEFT JOIN auth_user AS account ON account.id = user_id
    """,
    """
    SELECT external_user_key, curriculum_uuid, course_key, course.status, username, history_type
    FROM program_enrollments_historicalprogramcourseenrollment AS course
    JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
    LEFT JOIN student_courseenrollment AS course_enrollment ON course_enrollment.id = course_enrollment_id
    LEFT JOIN auth_user AS account ON account.id = course_enrollment.user_id
    """,
    """
    SELECT username, course_id, mode, history.is_active, history_type
    FROM student_courseenrollment_history AS history JOIN auth_user AS account ON account.id = user_id
    """,
]


def contents(lms: Lms) -> list[Counter[tuple[object, ...]]]:
    """What linking left in the tables."""
    return [Counter(map(tuple, lms.run(table))) for table in CONTENTS]


def in_request_order(batch: Batch, links: Iterable[Link]) -> list[Link]:
    """The links as their keys were sent."""
    by_key = {link.key: link for link in links}
    return [by_key[key] for key in batch.external_keys_to_usernames if key in by_key]


def one_savepoint_a_key(batch: Batch, reading: Reading) -> Plan:
    """The usual plan, with each key under a savepoint of its own, in request order."""
    plan = decisions.plan(batch, reading)
    return replace(plan, together=[], alone=in_request_order(batch, plan.together + plan.alone))


def all_keys_together(batch: Batch, reading: Reading) -> Plan:
    """The usual plan, with the keys that do not need each other's place under one savepoint, doubtful or not."""
    plan = decisions.plan(batch, reading)
    users = Counter(user for link in plan.together + plan.alone for user in link.touched_users)
    shared = {user for user, count in users.items() if count > 1}
    together = [link for link in plan.together + plan.alone if shared.isdisjoint(link.touched_users)]
    return Plan(
        plan.failures,
        in_request_order(batch, together),
        in_request_order(batch, [link for link in plan.together + plan.alone if link not in together]),
    )


def link(lms: Lms, world: World, decide: Callable[[Batch, Reading], Plan]) -> dict[str, str]:
    """Link the world's batch with another plan; return the map of errors."""
    session = Session(lms.connection, time.monotonic() + 60)
    with session.transaction():
        return link_batch(session, Batch(PROGRAM, None, world.batch, world.relink), decide=decide).errors


@given(world=worlds)
def test_grouping_keys_changes_nothing(lms: Lms, world: World) -> None:
    """Under one savepoint, in parts, one by one and in the plain way, a batch ends with the same errors and rows."""
    build(lms, world)
    expected_errors = link_plainly(lms.connection, PROGRAM, world.batch, relink=world.relink)
    expected_contents = contents(lms)
    for decide in (decisions.plan, one_savepoint_a_key, all_keys_together):
        build(lms, world)
        assert list(link(lms, world, decide).items()) == list(expected_errors.items())
        assert contents(lms) == expected_contents


Meddling = tuple[str, str, str, bool] | tuple[str, str]
meddlings = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(COURSES), st.sampled_from(MODES), st.booleans())
    | st.tuples(st.sampled_from(USERS), st.sampled_from(CURRICULA)),
    min_size=1,
    max_size=4,
)


def meddle(connection: Connection, meddling: Meddling) -> None:
    """Enroll a user in a course, or give a user the program under another key, whatever is there."""
    user = "(SELECT id FROM auth_user WHERE username = :username)"
    if len(meddling) == 4:
        username, course_key, mode, is_active = meddling
        connection.run(
            "INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)"
            f" VALUES (now(), :is_active, :mode, :course_key, {user})"
            " ON CONFLICT (user_id, course_id) DO UPDATE SET mode = excluded.mode, is_active = excluded.is_active",
            username=username,
            course_key=course_key,
            mode=mode,
            is_active=is_active,
        )
        return
    username, curriculum = meddling
    connection.run(
        "INSERT INTO program_enrollments_programenrollment"
        " (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)"
        f" VALUES (now(), now(), 'other', :program, :curriculum, 'enrolled', {user}) ON CONFLICT DO NOTHING",
        username=username,
        program=PROGRAM,
        curriculum=curriculum,
    )


@given(world=worlds, meddlings=meddlings)
def test_what_another_session_does_in_between_is_met(
    lms: Lms, other_session: Connection, world: World, meddlings: list[Meddling]
) -> None:
    """What another session writes between read and write counts as if it had been there before the batch."""
    known = {place: (holder, without_missing(courses)) for place, (holder, courses) in world.enrollments.items()}
    world = replace(world, enrollments=known)
    build(lms, world)
    for meddling in meddlings:
        meddle(other_session, meddling)
    expected_errors = link_plainly(lms.connection, PROGRAM, world.batch, relink=world.relink)
    expected_contents = contents(lms)

    def plan_and_meddle(batch: Batch, reading: Reading) -> Plan:
        for meddling in meddlings:
            meddle(other_session, meddling)
        return decisions.plan(batch, reading)

    build(lms, world)
    assert list(link(lms, world, plan_and_meddle).items()) == list(expected_errors.items())
    assert contents(lms) == expected_contents


def without_missing(courses: dict[str, str]) -> dict[str, str]:
    """The courses that the LMS knows: whether it knows a course is asked once, before another session meddles."""
    return {course_key: status for course_key, status in courses.items() if course_key != MISSING}


def test_a_user_deleted_in_between_fails_its_key_alone(lms: Lms, other_session: Connection) -> None:
    """A user whom another session deletes between read and write fails that key, and the others are linked."""
    course = lms.course()
    batch = {f"student-{number}": f"learner-{number}" for number in range(50)}
    for key, username in batch.items():
        lms.user(username)
        lms.enrollment(key, [course])

    def plan_and_delete(batch: Batch, reading: Reading) -> Plan:
        other_session.run("DELETE FROM auth_user WHERE username = 'learner-17'")
        return decisions.plan(batch, reading)

    session = Session(lms.connection, time.monotonic() + 60)
    with session.transaction():
        outcome = link_batch(session, Batch(PROGRAM, None, batch), decide=plan_and_delete)
    assert outcome.linked == 49
    assert outcome.errors == {
        "student-17": 'IntegrityError: insert or update on table "program_enrollments_programenrollment" violates'
        ' foreign key constraint "program_enrollments__user_id_dcfde442_fk_auth_user"'
    }
