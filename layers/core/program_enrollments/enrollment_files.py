"""Files of enrollments: the bytes of a file become rows of a program or of a course, or faults.

The rules are those of rosters: a file is checked whole, what surrounds a value is trimmed, and what remains is used
exactly as it is. A status that nobody knows is left to the verdict on its row.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from program_enrollments.csv_files import Column, Layout, cells_at, read_records
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.errors import InvalidFile
from program_enrollments.limits import LONGEST_KEY, LONGEST_STATUS, MOST_LINES, caseless, checked_uuid, fault
from program_enrollments.rosters import MOST_FAULTS

STAFF = {"true": True, "false": False, "": None}
KEY = Column("student_key", ("external_user_key", "external_key", "external_student_key"))
STATUS = Column("status")
CURRICULUM = Column("curriculum_uuid", ("curriculum",), required=False)
COURSE_STAFF = Column("course_staff", required=False)
PROGRAM_COLUMNS = (KEY, STATUS, CURRICULUM)
COURSE_COLUMNS = (KEY, STATUS, CURRICULUM, COURSE_STAFF)


class EnrollmentFile[R: (ProgramRow, CourseRow)](NamedTuple):
    """The rows of a file, in its order, and how it is written."""

    rows: list[R]
    layout: Layout


def enrollment_columns(*, in_course: bool) -> tuple[Column, ...]:
    """The columns of a file of enrollments in a program, or in a course of it."""
    return COURSE_COLUMNS if in_course else PROGRAM_COLUMNS


def read_enrollments(
    data: bytes, *, in_course: bool, curriculum_uuid: str | None, create: bool
) -> EnrollmentFile[ProgramRow] | EnrollmentFile[CourseRow]:
    """Read a file of enrollments in a program, or in a course of it; raise `InvalidFile` with the faults of the file.

    `curriculum_uuid` is that of the rows that name none; with `create`, new enrollments in a program may be made.
    """
    if in_course:
        return read_course_rows(data, curriculum_uuid=curriculum_uuid)
    return read_program_rows(data, curriculum_uuid=curriculum_uuid, is_needed=create)


def read_program_rows(
    data: bytes, *, curriculum_uuid: str | None = None, is_needed: bool = False
) -> EnrollmentFile[ProgramRow]:
    """Read student_key,status and perhaps curriculum_uuid; raise `InvalidFile` with the faults of the file.

    `curriculum_uuid` is that of the rows that name none; `is_needed` if new enrollments may be made, which need one.
    """

    def row(cells: Sequence[str]) -> ProgramRow:
        student_key, status, curriculum = cells
        return ProgramRow(student_key, status, _curriculum(curriculum, curriculum_uuid, is_needed=is_needed))

    layout, rows = _read(data, PROGRAM_COLUMNS, row)
    return EnrollmentFile(rows, layout)


def read_course_rows(data: bytes, *, curriculum_uuid: str | None = None) -> EnrollmentFile[CourseRow]:
    """Read student_key,status and perhaps curriculum_uuid and course_staff; raise `InvalidFile`."""

    def row(cells: Sequence[str]) -> CourseRow:
        student_key, status, curriculum, staff = cells
        if staff.lower() not in STAFF:
            raise ValueError("course_staff is neither true nor false")
        return CourseRow(student_key, status, _curriculum(curriculum, curriculum_uuid), STAFF[staff.lower()])

    layout, rows = _read(data, COURSE_COLUMNS, row)
    return EnrollmentFile(rows, layout)


def _curriculum(text: str, usual: str | None, *, is_needed: bool = False) -> str | None:
    if text:
        return _uuid(text)
    if usual is None and is_needed:
        raise ValueError("a new enrollment needs a curriculum_uuid")
    return usual


def _uuid(text: str) -> str:
    try:
        return checked_uuid("curriculum_uuid", text)
    except ValueError:
        raise ValueError(f"curriculum_uuid {text} is not a UUID") from None


def _read[R: (ProgramRow, CourseRow)](
    data: bytes, columns: Sequence[Column], make_row: Callable[[Sequence[str]], R]
) -> tuple[Layout, list[R]]:
    """All rows, if no line has a fault; the first faults are worded, and the others counted."""
    layout, records = read_records(data, columns)
    places = [layout.places.get(column.name) for column in columns]
    lines: dict[str, int] = {}
    rows: list[R] = []
    faults: list[str] = []
    for record in records:
        try:
            row = make_row(cells_at(record.cells, places))
            _check(row, record.line, lines)
        except ValueError as error:
            faults.append(f"line {record.line}: {error}")
        else:
            rows.append(row)
    if faults:
        raise InvalidFile(*faults[:MOST_FAULTS], others=max(0, len(faults) - MOST_FAULTS))
    if not rows:
        raise InvalidFile("the file has a header and no line after it" if layout.header else "the file is empty")
    if len(rows) > MOST_LINES:
        raise InvalidFile(f"there are more than {MOST_LINES:,} lines: split the file")
    return layout, rows


def _check(row: ProgramRow | CourseRow, line: int, lines: dict[str, int]) -> None:
    if not row.status:
        raise ValueError("both values are needed: student_key,status")
    if reason := fault(row.student_key, LONGEST_KEY):
        raise ValueError(f"student_key {reason}")
    if reason := fault(row.status, LONGEST_STATUS):
        raise ValueError(f"status {reason}")
    if (first := lines.setdefault(caseless(row.student_key), line)) != line:
        raise ValueError(
            f"student key {row.student_key} provided multiple times, whatever its case; first in line {first}"
        )
