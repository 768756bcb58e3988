"""Each door through which rows can be written: the core, HTTP, a direct invocation, the command."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from local.lms import PROGRAM, Lms
from program_enrollments import connect
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments, write_program_enrollments

type Row = dict[str, Any]


class Write(Protocol):
    """Write rows to a program, or to a course of it: `write("POST", rows, course)` gives the status of each key."""

    def __call__(self, method: str, rows: list[Row], course: str | None = None) -> dict[str, str]: ...


def way(method: str) -> dict[str, bool]:
    """What a method of the API means to the core."""
    return {"create": method in {"POST", "PUT"}, "update": method in {"PATCH", "PUT"}}


def write_in_core(method: str, rows: list[Row], course: str | None = None) -> dict[str, str]:
    """Write rows with the core's verbs, over a connection of the service's role."""
    with connect() as connection:
        if course is None:
            program_rows = [ProgramRow(**row) for row in rows]
            return write_program_enrollments(connection, PROGRAM, program_rows, **way(method)).statuses
        course_rows = [CourseRow(**row) for row in rows]
        return write_program_course_enrollments(connection, PROGRAM, course, course_rows, **way(method)).statuses


DOORS: dict[str, Callable[..., dict[str, str]]] = {"core": write_in_core}


@pytest.fixture(params=DOORS)
def write(request: pytest.FixtureRequest, lms: Lms) -> Write:
    """Write rows through one of the doors."""
    return DOORS[request.param]
