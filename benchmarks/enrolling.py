"""What writing enrollments costs: side by side with one SQL script, and with 25 rows a call one by one."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, chain
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rich.table import Table

from benchmarks.measuring import console
from benchmarks.plain_enrolling import write_course_plainly, write_program_plainly
from local.lms import CURRICULUM, PROGRAM, Lms
from program_enrollments import write_program_course_enrollments, write_program_enrollments
from program_enrollments.enrolling.rows import CourseRow, ProgramRow

SIZE = 10_000
ROWS_A_CALL = 25
PLAIN_SIZE = 100
ROUNDS = 5
# The batches of the service and those of the script, in turns, and one for a few rows a call.
BATCHES = [(f"served-{number}", f"scripted-{number}") for number in range(ROUNDS)]
PLAIN_BATCH = "plain"

# The same writes by hand: history included, and nothing read or checked first.
CREATE = f"""
WITH created AS (
    INSERT INTO program_enrollments_programenrollment
        (created, modified, external_user_key, program_uuid, curriculum_uuid, status)
    SELECT now(), now(), '%(batch)s-' || number, '%(program)s', '{CURRICULUM}', 'enrolled'
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
    WHERE external_user_key IN (SELECT '%(batch)s-' || number FROM generate_series(0, {SIZE - 1}) AS number)
    AND program_uuid = '%(program)s' RETURNING *
)
INSERT INTO program_enrollments_historicalprogramenrollment (id, created, modified, external_user_key, program_uuid,
    curriculum_uuid, status, user_id, history_date, history_type)
SELECT id, created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id, clock_timestamp(), '~'
FROM changed
"""
ENTER = f"""
WITH entered AS (
    INSERT INTO student_courseenrollment (created, is_active, mode, course_id, user_id)
    SELECT now(), true, 'masters', '%(course)s', user_id FROM program_enrollments_programenrollment
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
    """Something to be done to the rows of a batch: by the service, by one script, and by a few rows a call."""

    name: str
    rows: Callable[[str, int], Sequence[Any]]
    service: Callable[[str, Sequence[Any]], object]
    script: str
    plain: Callable[[str, Sequence[Any]], object]


def enrolling(lms: Lms) -> None:
    """Print what each kind of write costs."""
    _add_learners(lms)
    table = Table(title=f"Writing {SIZE:,} enrollments (medians of {ROUNDS}, in turns)", title_justify="left")
    for column in ("", "the service, s", "rows/s", "one SQL script = 1", f"{ROWS_A_CALL} rows a call = 1"):
        table.add_column(column, justify="left" if not column else "right")
    for work in _works(lms):
        lms.run("ANALYZE")
        service, script = map(statistics.median, zip(*_rounds(lms, work), strict=True))
        plain = _seconds(_a_few_at_a_time, work, work.rows(PLAIN_BATCH, PLAIN_SIZE)) * SIZE / PLAIN_SIZE
        table.add_row(
            work.name, f"{service:.2f}", f"{SIZE / service:,.0f}", f"{service / script:.2f}", f"{service / plain:.3f}"
        )
    console.print(table)


def _rounds(lms: Lms, work: Work) -> Iterator[tuple[float, float]]:
    """How many seconds the service takes for a batch, and the script for another one."""
    for served, scripted in BATCHES:
        rows = work.rows(served, SIZE)
        script = work.script % {"batch": scripted, "program": _program(scripted), "course": _course(scripted)}
        yield _seconds(work.service, served, rows), _seconds(lms.run, script)


def _a_few_at_a_time(work: Work, rows: Sequence[Any]) -> None:
    for call in batched(rows, ROWS_A_CALL, strict=False):
        work.plain(PLAIN_BATCH, call)


def _works(lms: Lms) -> list[Work]:
    """Enrollments in a program of the batch's own, or of the same learners in a course of its own."""
    connection = lms.connection
    return [
        Work(
            "created",
            lambda batch, size: [ProgramRow(f"{batch}-{number}", "enrolled", CURRICULUM) for number in range(size)],
            lambda batch, rows: write_program_enrollments(connection, _program(batch), rows, create=True, update=False),
            CREATE,
            lambda batch, rows: write_program_plainly(connection, _program(batch), rows, create=True, update=False),
        ),
        Work(
            "changed",
            lambda batch, size: [ProgramRow(f"{batch}-{number}", "ended", CURRICULUM) for number in range(size)],
            lambda batch, rows: write_program_enrollments(connection, _program(batch), rows, create=False, update=True),
            UPDATE,
            lambda batch, rows: write_program_plainly(connection, _program(batch), rows, create=False, update=True),
        ),
        Work(
            "courses of linked learners",
            lambda _, size: [CourseRow(f"enrolled-{number}", "active") for number in range(size)],
            lambda batch, rows: write_program_course_enrollments(
                connection, PROGRAM, _course(batch), rows, create=True, update=False
            ),
            ENTER,
            lambda batch, rows: write_course_plainly(
                connection, PROGRAM, _course(batch), rows, create=True, update=False
            ),
        ),
    ]


def _program(batch: str) -> str:
    return str(uuid5(NAMESPACE_URL, batch))


def _course(batch: str) -> str:
    return f"course-v1:{batch}+C+R"


def _add_learners(lms: Lms) -> None:
    """Learners of a program who are linked already, and the courses that they enter."""
    for batch in chain(*BATCHES, [PLAIN_BATCH]):
        lms.course(_course(batch))
    lms.run(f"""
        INSERT INTO auth_user
            (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
        SELECT 'enrolled-' || number, '', '', '', '', false, false, true, now()
        FROM generate_series(0, {SIZE - 1}) AS number;
        INSERT INTO program_enrollments_programenrollment
            (created, modified, external_user_key, program_uuid, curriculum_uuid, status, user_id)
        SELECT now(), now(), username, '{PROGRAM}', '{CURRICULUM}', 'enrolled', id
        FROM auth_user WHERE username LIKE 'enrolled-%';
    """)


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started
