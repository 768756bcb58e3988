"""The plain way to enroll: row after row, each under a savepoint, and for each statement a trip to the server."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from program_enrollments.enrolling.rows import CourseRow, ProgramRow

type Run = Callable[..., Any]

RECORD_PROGRAM = """
INSERT INTO program_enrollments_historicalprogramenrollment
    (id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id,
    history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id,
    clock_timestamp(), :type
FROM program_enrollments_programenrollment WHERE id = :id
"""
RECORD_COURSE = """
INSERT INTO program_enrollments_historicalprogramcourseenrollment
    (id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, history_date, history_type)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), :type
FROM program_enrollments_programcourseenrollment WHERE id = :id
"""
RECORD_COURSE_ENROLLMENT = """
INSERT INTO student_courseenrollment_history
    (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), :type
FROM student_courseenrollment WHERE id = :id
"""


def write_program_plainly(
    connection: Connection, program: str, rows: Sequence[ProgramRow], *, create: bool, update: bool
) -> dict[str, str]:
    """Write program enrollments; return the status or the verdict of each key."""

    def write(run: Run, row: ProgramRow) -> str:
        if row.status not in {"enrolled", "pending", "suspended", "canceled", "ended"}:
            return "invalid-status"
        found = _enrollments(run, program, row)
        if found:
            if not update or len({key for _, key, _, _ in found}) > 1:
                return "conflict"
            for id_, _, status, _ in found:
                if status != row.status:
                    run(
                        "UPDATE program_enrollments_programenrollment"
                        " SET status = :status, modified = clock_timestamp() WHERE id = :id",
                        status=row.status,
                        id=id_,
                    )
                    run(RECORD_PROGRAM, id=id_, type="~")
            return row.status
        if not create:
            return "not-in-program"
        known = {key for _, key, _, _ in _enrollments(run, program, row._replace(curriculum_uuid=None))}
        created = run(
            "INSERT INTO program_enrollments_programenrollment"
            " (created, modified, external_user_key, program_uuid, curriculum_uuid, status) VALUES"
            " (now(), now(), :key, CAST(:program AS uuid), CAST(:curriculum AS uuid), :status)"
            " RETURNING id",
            key=known.pop() if len(known) == 1 else row.student_key,
            program=program,
            curriculum=row.curriculum_uuid,
            status=row.status,
        )
        run(RECORD_PROGRAM, id=created[0][0], type="+")
        return row.status

    return _each_row(connection, rows, write)


def write_course_plainly(  # noqa: PLR0913 - the verb's own arguments
    connection: Connection, program: str, course: str, rows: Sequence[CourseRow], *, create: bool, update: bool
) -> dict[str, str]:
    """Write program-course enrollments; return the status or the verdict of each key."""

    def write(run: Run, row: CourseRow) -> str:
        found = _enrollments(run, program, row)
        if row.status == "active" and _is_active_elsewhere(
            run, program, course, {row.student_key, *(it[1] for it in found)}
        ):
            return "conflict"
        if row.status not in {"active", "inactive"}:
            return "invalid-status"
        if not found:
            return "not-in-program"
        existing = {id_: _place(run, id_, course) for id_, _, _, _ in found}
        if (any(existing.values()) and not update) or len({key for _, key, _, _ in found}) > 1:
            return "conflict"
        if not any(existing.values()) and not create:
            return "not-found"
        for id_, _, _, user_id in found:
            if existing[id_] or create:
                _write_place(run, course, row, id_, user_id, existing[id_])
        return row.status

    return _each_row(connection, rows, write)


def _each_row(connection: Connection, rows: Sequence[Any], write: Callable[[Run, Any], str]) -> dict[str, str]:
    counts = Counter(row.student_key.lower() for row in rows)
    statuses = {}
    connection.run("BEGIN")
    for row in rows:
        connection.run("SAVEPOINT row")
        try:
            status = write(connection.run, row) if counts[row.student_key.lower()] == 1 else "duplicated"
            connection.run("SET CONSTRAINTS ALL IMMEDIATE")
        except DatabaseError:
            connection.run("ROLLBACK TO SAVEPOINT row")
            status = "internal-error"
        connection.run("RELEASE SAVEPOINT row")
        statuses[row.student_key] = status
    connection.run("COMMIT")
    return statuses


def _enrollments(run: Run, program: str, row: ProgramRow | CourseRow) -> list[tuple[int, str, str, int | None]]:
    alike = run(
        "SELECT id, external_user_key, status, user_id FROM program_enrollments_programenrollment"
        " WHERE program_uuid = CAST(:program AS uuid) AND lower(external_user_key) = lower(:key)"
        " AND (CAST(:curriculum AS uuid) IS NULL OR curriculum_uuid = CAST(:curriculum AS uuid))"
        " ORDER BY id FOR UPDATE",
        program=program,
        key=row.student_key,
        curriculum=row.curriculum_uuid,
    )
    return [tuple(it) for it in alike if it[1] == row.student_key] or [tuple(it) for it in alike]


def _is_active_elsewhere(run: Run, program: str, course: str, spellings: set[str]) -> bool:
    return any(
        run(
            "SELECT 1 FROM program_enrollments_programcourseenrollment AS course"
            " JOIN program_enrollments_programenrollment AS enrollment ON enrollment.id = program_enrollment_id"
            " WHERE external_user_key = :key AND program_uuid <> CAST(:program AS uuid)"
            " AND course_key = :course AND course.status = 'active'",
            key=key,
            program=program,
            course=course,
        )
        for key in spellings
    )


def _place(run: Run, enrollment_id: int, course: str) -> list[Any] | None:
    found = run(
        "SELECT id, status, course_enrollment_id FROM program_enrollments_programcourseenrollment"
        " WHERE program_enrollment_id = :enrollment_id AND course_key = :course FOR UPDATE",
        enrollment_id=enrollment_id,
        course=course,
    )
    return list(found[0]) if found else None


def _write_place(  # noqa: PLR0913, PLR0917 - what is there, and what it becomes
    run: Run, course: str, row: CourseRow, enrollment_id: int, user_id: int | None, place: list[Any] | None
) -> None:
    id_, status, course_enrollment_id = place or (None, None, None)
    enters = user_id is not None and course_enrollment_id is None
    if enters:
        course_enrollment_id = _enter(run, user_id, course, is_active=row.status == "active")
    elif course_enrollment_id and status != row.status:
        _set_active(run, course_enrollment_id, is_active=row.status == "active")
    if id_ is None:
        id_ = run(
            "INSERT INTO program_enrollments_programcourseenrollment"
            " (created, modified, course_key, status, course_enrollment_id, program_enrollment_id)"
            " VALUES (now(), now(), :course, :status, :course_enrollment_id, :enrollment_id)"
            " RETURNING id",
            course=course,
            status=row.status,
            course_enrollment_id=course_enrollment_id,
            enrollment_id=enrollment_id,
        )[0][0]
        run(RECORD_COURSE, id=id_, type="+")
    elif enters or status != row.status:
        run(
            "UPDATE program_enrollments_programcourseenrollment SET status = :status,"
            " course_enrollment_id = :course_enrollment_id, modified = clock_timestamp() WHERE id = :id",
            status=row.status,
            course_enrollment_id=course_enrollment_id,
            id=id_,
        )
        run(RECORD_COURSE, id=id_, type="~")
    if row.course_staff is not None:
        _set_staff(run, course, id_, user_id, staff=row.course_staff)


def _enter(run: Run, user_id: int | None, course: str, *, is_active: bool) -> int:
    met = run(
        "SELECT id, mode, is_active FROM student_courseenrollment"
        " WHERE user_id = :user_id AND course_id = :course FOR UPDATE",
        user_id=user_id,
        course=course,
    )
    if not met:
        id_ = run(
            "INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)"
            " VALUES (clock_timestamp(), :is_active, 'masters', :course, :user_id) RETURNING id",
            is_active=is_active,
            course=course,
            user_id=user_id,
        )[0][0]
        run(RECORD_COURSE_ENROLLMENT, id=id_, type="+")
        return int(id_)
    id_, mode, was_active = met[0]
    if (not was_active or mode in {"audit", "honor", "masters"}) and (mode, was_active) != ("masters", is_active):
        run(
            "UPDATE student_courseenrollment SET mode = 'masters', is_active = :is_active WHERE id = :id",
            is_active=is_active,
            id=id_,
        )
        run(RECORD_COURSE_ENROLLMENT, id=id_, type="~")
    return int(id_)


def _set_active(run: Run, id_: int, *, is_active: bool) -> None:
    changed = run(
        "UPDATE student_courseenrollment SET is_active = :is_active WHERE id = :id AND is_active <> :is_active"
        " RETURNING id",
        is_active=is_active,
        id=id_,
    )
    if changed:
        run(RECORD_COURSE_ENROLLMENT, id=id_, type="~")


def _set_staff(run: Run, course: str, id_: int, user_id: int | None, *, staff: bool) -> None:
    org = course.removeprefix("course-v1:").split("+")[0]
    holds = bool(user_id and run("SELECT 1 FROM auth_user WHERE id = :id AND is_active", id=user_id))
    if staff and not holds:
        run(
            "INSERT INTO program_enrollments_courseaccessroleassignment (created, modified, role, enrollment_id)"
            " VALUES (now(), now(), 'staff', :id) ON CONFLICT DO NOTHING",
            id=id_,
        )
        return
    run("DELETE FROM program_enrollments_courseaccessroleassignment WHERE enrollment_id = :id", id=id_)
    if staff:
        run(
            "INSERT INTO student_courseaccessrole (org, course_id, role, user_id)"
            " VALUES (:org, :course, 'staff', :user_id) ON CONFLICT DO NOTHING",
            org=org,
            course=course,
            user_id=user_id,
        )
    elif user_id:
        run(
            "DELETE FROM student_courseaccessrole WHERE user_id = :user_id AND course_id = :course AND role = 'staff'",
            user_id=user_id,
            course=course,
        )
