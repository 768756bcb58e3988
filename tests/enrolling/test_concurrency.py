"""Writers at the same time: no lost update, no deadlock that reaches a caller, no learner left between two chairs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from pg8000.native import Connection

from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import link_program_enrollments
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments, write_program_enrollments

ROUNDS = 5
KEYS = [f"student-{number}" for number in range(40)]

type OpenSession = Callable[[], Connection]


def at_once(open_session: OpenSession, *works: Callable[[Connection], Any]) -> list[Any]:
    """Do all of the works at the same time, each over a connection of its own; return what they return."""

    def on_connection(work: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - whatever it returns
        connection = open_session()
        try:
            return work(connection)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(on_connection, works))


def courses(connection: Connection, keys: list[str], status: str) -> Any:  # noqa: ANN401 - what was written
    """Write the keys into the course."""
    rows = [CourseRow(key, status) for key in keys]
    return write_program_course_enrollments(connection, PROGRAM, DEMO_COURSE, rows, create=True, update=True)


@pytest.mark.parametrize("spell", [str, str.upper])
def test_two_writers_of_the_same_keys(lms: Lms, open_session: OpenSession, spell: Callable[[str], str]) -> None:
    """Of two writers of the same new keys, in whatever order and case, each key comes into the program once."""

    def write(connection: Connection, keys: list[str], status: str, *, update: bool) -> dict[str, str]:
        rows = [ProgramRow(key, status, CURRICULUM) for key in keys]
        return write_program_enrollments(connection, PROGRAM, rows, create=True, update=update).statuses

    for round_ in range(ROUNDS):
        keys = [f"{round_}-{key}" for key in KEYS]
        created, other = at_once(
            open_session,
            partial(write, keys=keys, status="pending", update=False),
            partial(write, keys=[spell(key) for key in reversed(keys)], status="ended", update=True),
        )
        assert set(created.values()) in ({"pending"}, {"conflict"})
        assert set(other.values()) == {"ended"}
    assert lms.run(
        "SELECT count(*), count(DISTINCT lower(external_user_key)) FROM program_enrollments_programenrollment"
    ) == [[ROUNDS * len(KEYS)] * 2]
    assert lms.run("SELECT DISTINCT status FROM program_enrollments_programenrollment") == [["ended"]]


def test_a_writer_beside_linking(lms: Lms, open_session: OpenSession) -> None:
    """Keys that get a course while they are linked never end linked with a course that still waits."""
    lms.course()
    for round_ in range(ROUNDS):
        keys = [f"{round_}-{key}" for key in KEYS]
        batch = {key: f"user-{key}" for key in keys}
        for key, username in batch.items():
            lms.user(username)
            lms.enrollment(key)
        outcome, written = at_once(
            open_session,
            partial(link_program_enrollments, program_uuid=PROGRAM, external_keys_to_usernames=batch),
            partial(courses, keys=keys[::-1], status="active"),
        )
        assert (outcome.failures, written.failed) == ({}, 0)
    assert lms.run("""
        SELECT
            count(*),
            count(*) FILTER (WHERE met.user_id = enrollment.user_id AND met.mode = 'masters' AND met.is_active)
        FROM program_enrollments_programcourseenrollment AS course
        JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
        LEFT JOIN student_courseenrollment AS met ON met.id = course_enrollment_id
    """) == [[ROUNDS * len(KEYS)] * 2]


def test_a_writer_beside_relinking(lms: Lms, open_session: OpenSession) -> None:
    """Keys whose course changes while they get other accounts end with the course of the account that they have."""
    lms.course()
    for key in KEYS:
        lms.enrollment(key, user_id=lms.user(f"a-{key}"))
        lms.user(f"b-{key}")
    for round_ in range(ROUNDS):
        batch = {key: f"{'ba'[round_ % 2]}-{key}" for key in KEYS}
        outcome, written = at_once(
            open_session,
            partial(link_program_enrollments, program_uuid=PROGRAM, external_keys_to_usernames=batch, relink=True),
            partial(courses, keys=KEYS[::-1], status=("active", "inactive")[round_ % 2]),
        )
        assert (outcome.failures, written.failed) == ({}, 0)
        assert lms.run("""
            SELECT count(*) FILTER (
                WHERE met.user_id = enrollment.user_id AND met.is_active = (course.status = 'active')
            )
            FROM program_enrollments_programcourseenrollment AS course
            JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id
            LEFT JOIN student_courseenrollment AS met ON met.id = course_enrollment_id
        """) == [[len(KEYS)]]
