"""One request that writes enrollments, however it came in: the batch in the database, the report, the answer."""

import time
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambda_runtime.connection import on_connection
from lambda_runtime.refusals import Detail, InvalidRequest
from link_function.enrollment_requests import CourseWriteRequest, ProgramWriteRequest
from link_function.report import report_rows
from program_enrollments import write_program_course_enrollments, write_program_enrollments
from program_enrollments.enrolling.rows import Written
from program_enrollments.errors import NoIdentities, NonExistentCourse
from program_enrollments.postgres.session import Connection

type WriteRequest = ProgramWriteRequest | CourseWriteRequest


def write(request: WriteRequest, context: LambdaContext) -> Written:
    """Write a batch of rows, log and measure what became of it, and return that.

    Raise `InvalidRequest` for a course that the LMS does not know (its status is 404) and for an identity provider in
    an LMS without single sign-on, and what linking raises about the database.
    """
    started = time.monotonic()
    written = on_connection(context, partial(_write_batch, request)) if request.enrollments else Written()
    report_rows(request, written, time.monotonic() - started)
    return written


def answer_directly(request: WriteRequest, context: LambdaContext) -> dict[str, Any]:
    """The answer to a direct invocation."""
    answer: dict[str, Any] = {
        "program_uuid": str(request.program_uuid),
        "statuses": {key: str(status) for key, status in write(request, context).statuses.items()},
    }
    return answer | {"dry_run": True} if request.dry_run else answer


def _write_batch(request: WriteRequest, connection: Connection, deadline: float) -> Written:
    options = {"create": request.create, "update": request.update, "dry_run": request.dry_run}
    seconds = deadline - time.monotonic()
    try:
        if isinstance(request, CourseWriteRequest):
            rows = [fields.row for fields in request.enrollments]
            return write_program_course_enrollments(
                connection, request.program_uuid, request.course_key, rows, **options, seconds=seconds
            )
        program_rows = [fields.row for fields in request.enrollments]
        return write_program_enrollments(
            connection, request.program_uuid, program_rows, **options, idp=request.idp, seconds=seconds
        )
    except NonExistentCourse as error:
        detail = Detail(where="course_key", what="names no course run of the LMS")
        raise InvalidRequest("There is no such course.", [detail], HTTPStatus.NOT_FOUND) from error
    except NoIdentities as error:
        raise InvalidRequest("The request is malformed.", [Detail(where="idp", what=str(error))]) from error
