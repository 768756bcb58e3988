"""What writing enrollments costs: side by side with one SQL script, and with 25 rows a call one by one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.measuring import console
from benchmarks.plain_enrolling import write_course_plainly, write_program_plainly
from local.lms import CURRICULUM, DEMO_COURSE, PROGRAM, Lms
from program_enrollments import write_program_course_enrollments, write_program_enrollments
from program_enrollments.enrolling.rows import CourseRow, ProgramRow

SIZE = 10_000
ROWS_A_CALL = 25
PLAIN_SIZE = 100
ROUNDS = 3

# The same writes by hand: history included, and nothing checked.
CREATE = f"""
WITH created AS (
    INSERT INTO program_enrollments_programenrollment
        (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
    SELECT now(), now(), '%s' || number, '{PROGRAM}', '{CURRICULUM}', 'enrolled'
    FROM generate_series(0, {SIZE - 1}) AS number RETURNING *
)
INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '+'
FROM created
"""
UPDATE = f"""
WITH changed AS (
    UPDATE program_enrollments_programenrollment SET status = 'ended', modified = now()
    WHERE external_user_key IN (SELECT '%s' || number FROM generate_series(0, {SIZE - 1}) AS number)
    AND program_uuid = '{PROGRAM}' RETURNING *
)
INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '~'
FROM changed
"""
ENTER = f"""
WITH entered AS (
    INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
    SELECT now(), true, 'masters', '%s', user_id FROM program_enrollments_programenrollment
    WHERE user_id IS NOT NULL AND program_uuid = '{PROGRAM}' ORDER BY user_id RETURNING *
),
recorded AS (
    INSERT INTO student_courseenrollment_history
        (id, created, is_active, mode, course_id, user_id, history_id, history_date, history_type)
    SELECT id, created, is_active, mode, course_id, user_id, gen_random_uuid(), clock_timestamp(), '+' FROM entered
),
placed AS (
    INSERT INTO program_enrollments_programcourseenrollment
        (created, modified, course_key, status, course_enrollment_id, program_enrollment_id)
    SELECT now(), now(), course_id, 'active', entered.id, enrollment.id
    FROM entered JOIN program_enrollments_programenrollment AS enrollment ON enrollment.user_id = entered.user_id
    RETURNING *
)
INSERT INTO program_enrollments_historicalprogramcourseenrollment (id, created, modified, course_key, status,
    course_enrollment_id, program_enrollment_id, history_date, history_type)
SELECT id, created, modified, course_key, status, course_enrollment_id, program_enrollment_id, clock_timestamp(), '+'
FROM placed
"""


@dataclass(frozen=True)
class Work:
    """Something to be done to as many rows as are written: by the service, by one script, and one by one."""

    name: str
    service: Callable[[str, int], object]
    script: Callable[[str], object]
    plain: Callable[[str, int], object]


def enrolling(lms: Lms) -> None:
    """Print what each kind of write costs."""
    _add_learners(lms)
    table = Table(title=f"Writing {SIZE:,} enrollments (best of {ROUNDS})", title_justify="left")
    for column in ("", "the service, s", "rows/s", "one SQL script = 1", f"{ROWS_A_CALL} rows a call = 1"):
        table.add_column(column, justify="left" if not column else "right")
    for work in _works(lms):
        service = min(_seconds(work.service, f"a{round_}-", SIZE) for round_ in range(ROUNDS))
        script = min(_seconds(work.script, f"b{round_}-") for round_ in range(ROUNDS))
        plain = _seconds(work.plain, "c-", PLAIN_SIZE) * SIZE / PLAIN_SIZE
        table.add_row(
            work.name, f"{service:.2f}", f"{SIZE / service:,.0f}", f"{service / script:.2f}", f"{service / plain:.3f}"
        )
    console.print(table)


def _works(lms: Lms) -> list[Work]:
    return [
        Work(
            "created",
            lambda prefix, size: _write(lms, _rows(prefix, size, "enrolled"), create=True),
            lambda prefix: lms.run(CREATE % prefix),
            lambda prefix, size: _one_by_one(lms, _rows(prefix, size, "enrolled"), create=True),
        ),
        Work(
            "changed",
            lambda prefix, size: _write(lms, _rows(prefix, size, "ended"), create=False),
            lambda prefix: lms.run(UPDATE % prefix),
            lambda prefix, size: _one_by_one(lms, _rows(prefix, size, "ended"), create=False),
        ),
        Work(
            "courses of linked learners",
            lambda prefix, size: _write_course(lms, f"course-v1:{prefix}+C+R", size),
            lambda prefix: lms.run(ENTER % lms.course(f"course-v1:{prefix}+C+R")),
            lambda prefix, size: _course_one_by_one(lms, f"course-v1:{prefix}+C+R", size),
        ),
    ]


def _add_learners(lms: Lms) -> None:
    """Learners of the program who are linked already."""
    lms.course(DEMO_COURSE)
    lms.run(f"""
        INSERT INTO auth_user
            (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
        SELECT 'enrolled-' || number, '', '', '', '', false, false, true, now()
        FROM generate_series(0, {SIZE - 1}) AS number;
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), username, '{PROGRAM}', '{CURRICULUM}', 'enrolled', id
        FROM auth_user WHERE username LIKE 'enrolled-%';
        ANALYZE
    """)


def _rows(prefix: str, size: int, status: str) -> list[ProgramRow]:
    return [ProgramRow(f"{prefix}{number}", status, CURRICULUM) for number in range(size)]


def _write(lms: Lms, rows: Sequence[ProgramRow], *, create: bool) -> None:
    write_program_enrollments(lms.connection, PROGRAM, rows, create=create, update=not create)


def _one_by_one(lms: Lms, rows: Sequence[ProgramRow], *, create: bool) -> None:
    for start in range(0, len(rows), ROWS_A_CALL):
        call = rows[start : start + ROWS_A_CALL]
        write_program_plainly(lms.connection, PROGRAM, call, create=create, update=not create)


def _write_course(lms: Lms, course: str, size: int) -> None:
    rows = [CourseRow(f"enrolled-{number}", "active") for number in range(size)]
    write_program_course_enrollments(lms.connection, PROGRAM, lms.course(course), rows, create=True, update=False)


def _course_one_by_one(lms: Lms, course: str, size: int) -> None:
    rows = [CourseRow(f"enrolled-{number}", "active") for number in range(size)]
    lms.course(course)
    for start in range(0, len(rows), ROWS_A_CALL):
        call = rows[start : start + ROWS_A_CALL]
        write_course_plainly(lms.connection, PROGRAM, course, call, create=True, update=False)


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started
