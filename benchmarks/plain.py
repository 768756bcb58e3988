"""The plain way to link: a savepoint for each key, and for each statement a trip to the server.

It says the same as the contract in the fewest thoughts. The benchmarks measure the service against it, and the tests
hold the service's answers and tables against its own.
"""

from collections.abc import Mapping
from typing import Any

from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

USER = "SELECT id FROM auth_user WHERE username = :username"
ENROLLMENTS = """
SELECT id, user_id, (SELECT username FROM auth_user WHERE id = user_id)
FROM program_enrollments_programenrollment
WHERE program_uuid = :program_uuid AND external_user_key = :key
ORDER BY id FOR UPDATE
"""
COURSES = """
SELECT id, course_key, status, course_enrollment_id FROM program_enrollments_programcourseenrollment
WHERE program_enrollment_id = :enrollment_id ORDER BY id
"""
COURSE_EXISTS = "SELECT 1 FROM course_overviews_courseoverview WHERE id = :course_key"
SET_USER = """
UPDATE program_enrollments_programenrollment SET user_id = :user_id, modified = clock_timestamp() WHERE id = :id
"""
RECORD_ENROLLMENT = """
INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '~'
FROM program_enrollments_programenrollment WHERE id = :id
"""
COURSE_ENROLLMENT = """
SELECT id, mode, is_active FROM student_courseenrollment WHERE user_id = :user_id AND course_id = :course_key FOR UPDATE
"""
ENTER = """
INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
VALUES (clock_timestamp(), :is_active, 'masters', :course_key, :user_id) RETURNING id
"""
MOVE = "UPDATE student_courseenrollment SET mode = :mode, is_active = :is_active WHERE id = :id"
RECORD_COURSE_ENROLLMENT = """
INSERT INTO student_courseenrollment_history (id, created, is_active, mode, course_id, user_id, history_id,
    history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), :history_type
FROM student_courseenrollment WHERE id = :id
"""
POINT = """
UPDATE program_enrollments_programcourseenrollment
SET course_enrollment_id = :course_enrollment_id, modified = clock_timestamp() WHERE id = :id
"""
RECORD_COURSE = """
INSERT INTO program_enrollments_historicalprogramcourseenrollment (id, created, modified, course_key, status,
    course_enrollment_id, program_enrollment_id, history_date, history_type)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), '~'
FROM program_enrollments_programcourseenrollment WHERE id = :id
"""
OFFERS_AUDIT = """
SELECT count(*) = 0
    OR count(*) FILTER (WHERE mode_slug = 'audit' AND coalesce(expiration_datetime > now(), true)) > 0
FROM course_modes_coursemode WHERE course_id = :course_key
"""
FORMER = "SELECT id, course_id, mode, is_active FROM student_courseenrollment WHERE id = :id FOR UPDATE"


class KeyFailed(Exception):
    """A key cannot be linked."""


def link_plainly(
    connection: Connection, program_uuid: str, external_keys_to_usernames: Mapping[str, str], *, relink: bool = False
) -> dict[str, str]:
    """Link a batch in one transaction, each key under a savepoint of its own; return the map of errors."""
    errors = {}
    connection.run("BEGIN")
    for key, username in external_keys_to_usernames.items():
        connection.run("SAVEPOINT key")
        try:
            _link_key(connection, program_uuid, key, username, relink=relink)
        except DatabaseError as error:
            connection.run("ROLLBACK TO SAVEPOINT key")
            errors[key] = f"IntegrityError: {error.args[0]['M']}"
        except KeyFailed as error:
            connection.run("ROLLBACK TO SAVEPOINT key")
            errors[key] = str(error)
        connection.run("RELEASE SAVEPOINT key")
    connection.run("COMMIT")
    return errors


def _link_key(connection: Connection, program_uuid: str, key: str, username: str, *, relink: bool) -> None:
    user_id = _value(connection.run(USER, username=username))
    if user_id is None:
        raise KeyFailed(f"No user found with username {username}")
    enrollments = connection.run(ENROLLMENTS, program_uuid=program_uuid, key=key)
    if not enrollments:
        raise KeyFailed(f"No program enrollment found for program uuid={program_uuid} and external student key={key}")
    to_link = [(id_, holder, name) for id_, holder, name in enrollments if holder != user_id]
    linked = f"Program enrollment with external_student_key={key} is already linked to"
    if not to_link:
        raise KeyFailed(f"{linked} target account username={username}")
    holders = [name for _, holder, name in to_link if holder is not None]
    if holders and not relink:
        raise KeyFailed(f"{linked} a different account username={holders[-1]}")
    for enrollment_id, holder, _ in to_link:
        if holder is not None:
            _unlink(connection, enrollment_id)
    for enrollment_id, _, _ in to_link:
        connection.run(SET_USER, id=enrollment_id, user_id=user_id)
        connection.run(RECORD_ENROLLMENT, id=enrollment_id)
    _enroll(connection, user_id, [enrollment_id for enrollment_id, _, _ in to_link])


def _enroll(connection: Connection, user_id: int, enrollment_ids: list[int]) -> None:
    waiting = [course for id_ in enrollment_ids for course in connection.run(COURSES, enrollment_id=id_)]
    last_status = {course_key: status for _, course_key, status, _ in waiting}
    for _, course_key, _, _ in waiting:
        if _value(connection.run(COURSE_EXISTS, course_key=course_key)) is None:
            raise KeyFailed(f"NonExistentCourseError: {course_key}")
    for course_key, status in last_status.items():
        _enter_masters_track(connection, user_id, course_key, is_active=status != "inactive")
    for id_, course_key, _, _ in waiting:
        course_enrollment_id = _value(connection.run(COURSE_ENROLLMENT, user_id=user_id, course_key=course_key))
        connection.run(POINT, id=id_, course_enrollment_id=course_enrollment_id)
        connection.run(RECORD_COURSE, id=id_)


def _enter_masters_track(connection: Connection, user_id: int, course_key: str, *, is_active: bool) -> None:
    rows = connection.run(COURSE_ENROLLMENT, user_id=user_id, course_key=course_key)
    if not rows:
        id_ = _value(connection.run(ENTER, user_id=user_id, course_key=course_key, is_active=is_active))
        connection.run(RECORD_COURSE_ENROLLMENT, id=id_, history_type="+")
        return
    id_, mode, was_active = rows[0]
    if (was_active and mode not in {"audit", "honor", "masters"}) or (mode, was_active) == ("masters", is_active):
        return
    _move(connection, id_, "masters", is_active=is_active)


def _unlink(connection: Connection, enrollment_id: int) -> None:
    for _, course_key, _, course_enrollment_id in connection.run(COURSES, enrollment_id=enrollment_id):
        for id_, _, mode, is_active in connection.run(FORMER, id=course_enrollment_id):
            new_mode = "audit" if _value(connection.run(OFFERS_AUDIT, course_key=course_key)) else mode
            if is_active or mode != new_mode:
                _move(connection, id_, new_mode, is_active=False)


def _move(connection: Connection, id_: int, mode: str, *, is_active: bool) -> None:
    connection.run(MOVE, id=id_, mode=mode, is_active=is_active)
    connection.run(RECORD_COURSE_ENROLLMENT, id=id_, history_type="~")


def _value(rows: list[list[Any]]) -> Any:  # noqa: ANN401 - the first column, whatever it is
    return rows[0][0] if rows else None
