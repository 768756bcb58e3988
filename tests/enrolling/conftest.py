"""Each door through which rows can be written: the core, HTTP, a direct invocation, the command."""

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from program_enrollments import connect
from program_enrollments.enrolling.rows import CourseRow, ProgramRow
from program_enrollments.enrolling.verbs import write_program_course_enrollments, write_program_enrollments
from tests.support import call_api

type Row = dict[str, Any]


class Write(Protocol):
    """Write rows to a program, or to a course of it: `write("POST", rows, course)` gives the status of each key."""

    def __call__(self, method: str, rows: list[Row], course: str | None = None) -> dict[str, str]: ...


def way(method: str) -> dict[str, Any]:
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


def write_over_http(method: str, rows: list[Row], course: str | None = None, query: str = "") -> dict[str, str]:
    """Write rows as API Gateway does; the status is that of the answer's map."""
    status, answer = call(method, rows, course, query)
    failed = sum(value not in STATUSES for value in answer.values())
    assert status == (200 if not failed else 207 if failed < len(answer) else 422)
    return answer


def call(
    method: str, body: object, course: str | None = None, query: str = "", program: str = PROGRAM
) -> tuple[int, dict[str, Any]]:
    """Call the path of a program, or of a course of it, as API Gateway does."""
    below = f"/courses/{quote(course, safe='')}" if course is not None else ""
    path = f"/programs/{program}{below}/enrollments"
    parameters = parse_qs(query, keep_blank_values=True)
    changes = {
        "httpMethod": method,
        "path": path,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
    }
    return call_api(body, **changes)


def write_directly(method: str, rows: list[Row], course: str | None = None) -> dict[str, str]:
    """Write rows by a direct invocation."""
    payload = {"program_uuid": PROGRAM, "enrollments": rows, **way(method)}
    answer = lambda_handler(payload | ({} if course is None else {"course_key": course}), invocation())
    assert answer.keys() == {"program_uuid", "statuses"}
    return dict(answer["statuses"])


STATUSES = {"enrolled", "pending", "suspended", "canceled", "ended", "active", "inactive"}
DOORS: dict[str, Callable[..., dict[str, str]]] = {
    "core": write_in_core,
    "http": write_over_http,
    "direct": write_directly,
}


@pytest.fixture(params=DOORS)
def write(request: pytest.FixtureRequest, lms: Lms) -> Write:
    """Write rows through one of the doors."""
    return DOORS[request.param]
