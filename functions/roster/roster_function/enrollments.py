"""Rosters of enrollments that are to be written: what LinkFunction is asked for, and what it answers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lambda_runtime.rosters import EnrollmentOptions, NewEnrollments
from program_enrollments.csv_files import Column
from program_enrollments.enrolling.rows import CourseRow, ProgramRow, Verdict
from program_enrollments.enrollment_files import enrollment_columns, read_enrollments
from roster_function.cutting import cut, json_bytes

NEW, OPTIONS = NewEnrollments, EnrollmentOptions
DONE = "written"
COUNTED = {"written": "Written"}
MESSAGES = {
    Verdict.DUPLICATED: "The key occurs more than once.",
    Verdict.INVALID_STATUS: "There is no such status.",
    Verdict.CONFLICT: "The key is there already, or is active in the course through another program.",
    Verdict.NOT_IN_PROGRAM: "The key is not in the program.",
    Verdict.NOT_FOUND: "The key is not in the course.",
    Verdict.INTERNAL_ERROR: "The database refused the line; the log of LinkFunction says why.",
}
COMMA = 2


def columns(options: EnrollmentOptions) -> tuple[Column, ...]:
    """The columns of the file."""
    return enrollment_columns(in_course=bool(options.course_key))


def requests(data: bytes, options: EnrollmentOptions) -> tuple[int, Iterator[dict[str, Any]]]:
    """The number of the keys of a file, and the requests that write them; raise `InvalidFile`.

    A key is on one line only, so that no line has to be in the request of another.
    """
    rows = read_enrollments(
        data,
        in_course=bool(options.course_key),
        curriculum_uuid=options.curriculum,
        create=options.way["create"],
    ).rows
    asked = {**options.way, "course_key": options.course_key, "idp": options.idp}
    given = {name: value for name, value in asked.items() if value}
    batches = cut(map(_fields, rows), weigh, lambda _: None)
    return len(rows), ({"enrollments": batch, **given} for batch in batches)


def is_in_order(options: EnrollmentOptions) -> bool:
    """Whether the requests are sent one after the other: different keys of one account meet in it."""
    return bool(options.idp or options.course_key)


def weigh(fields: Mapping[str, Any]) -> int:
    """How many bytes a row takes in a request, which is larger than its answer."""
    return json_bytes(fields) + COMMA


def keys(request: Mapping[str, Any]) -> Iterable[str]:
    """The keys of a request."""
    return (fields["student_key"] for fields in request["enrollments"])


def count(answer: Mapping[str, Any]) -> dict[str, int]:
    """How many keys came to what."""
    return Counter(status if status in MESSAGES else DONE for status in answer["statuses"].values())


def failures(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each key that does not have the status that was asked for, with its verdict and what that means."""
    for key, status in answer["statuses"].items():
        if status in MESSAGES:
            yield key, status, MESSAGES[Verdict(status)]


def _fields(row: ProgramRow | CourseRow) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if value is not None}
