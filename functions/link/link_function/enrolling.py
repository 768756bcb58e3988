"""The routes that write enrollments, with the paths, bodies and statuses of Open edX's REST API v1."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, unquote
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from pydantic import Field

from lambda_runtime.fields import Slug
from lambda_runtime.refusals import Problem, read
from link_function import writing
from link_function.enrollment_requests import (
    CourseRowFields,
    CourseWriteRequest,
    EnrollmentStatuses,
    NewProgramRowFields,
    ProgramRowFields,
    ProgramWriteRequest,
    http_status,
)
from link_function.questions import JSON, Flag, Question, question
from program_enrollments.limits import MOST_KEYS

PROGRAM = "/programs/<program_uuid>/enrollments"
COURSE = "/programs/<program_uuid>/courses/<course_key>/enrollments"
COURSE_PATH = re.compile(r"^(/programs/[^/]+/courses/)(.+)(/enrollments)$", re.DOTALL)
ANSWERS = {
    HTTPStatus.OK: "Each key has its status.",
    HTTPStatus.MULTI_STATUS: "Some keys have their status; the others have a verdict that says why not.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "No key has its status; each has a verdict that says why not.",
}
PROBLEMS = {
    HTTPStatus.BAD_REQUEST: "The request is malformed; nothing was done.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large; nothing was done.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service or its database is set up wrongly; its log says how.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is out of reach or out of time; send the batch again.",
}
RESPONSES: dict[int, Any] = {
    **{
        status.value: {"description": words, "content": {JSON: {"model": EnrollmentStatuses}}}
        for status, words in ANSWERS.items()
    },
    **{
        status.value: {"description": words, "content": {JSON: {"model": Problem}}}
        for status, words in PROBLEMS.items()
    },
}
COURSE_RESPONSES = RESPONSES | {
    HTTPStatus.NOT_FOUND.value: {
        "description": "The LMS does not know the course.",
        "content": {JSON: {"model": Problem}},
    }
}

router = Router()  # type: ignore[no-untyped-call]

Program = Annotated[UUID, Path(description="The program.")]
Course = Annotated[str, Path(description="The course run's key, percent-encoded.")]
NewProgramRows = Annotated[list[NewProgramRowFields], Body(max_length=MOST_KEYS)]
ProgramRows = Annotated[list[ProgramRowFields], Body(max_length=MOST_KEYS)]
CourseRows = Annotated[list[CourseRowFields], Body(max_length=MOST_KEYS)]


class CourseWriteQuestion(Question):
    """The parameters of a request that writes enrollments of a course."""

    dry_run: Annotated[Flag, Field(description="Answer as a real run would now, and change nothing.")] = False


class ProgramWriteQuestion(CourseWriteQuestion):
    """The parameters of a request that writes enrollments of a program."""

    idp: Annotated[
        Slug, Field(description="The slug of a SAML provider: a new key that it knows is linked at once.")
    ] = None  # type: ignore[assignment]


# The parameters of each path that writes, for the OpenAPI document.
QUESTIONS: dict[str, type[Question]] = {
    "/programs/{program_uuid}/enrollments": ProgramWriteQuestion,
    "/programs/{program_uuid}/courses/{course_key}/enrollments": CourseWriteQuestion,
}


@router.post(PROGRAM, summary="Enroll keys in a program", responses=RESPONSES)
def create_enrollments(program_uuid: Program, rows: NewProgramRows) -> Response[str]:
    """Enroll keys that are not in the program and curriculum yet."""
    return _write_program(program_uuid, rows, create=True)


@router.patch(PROGRAM, summary="Change the status of keys in a program", responses=RESPONSES)
def update_enrollments(program_uuid: Program, rows: ProgramRows) -> Response[str]:
    """Change the status of keys that are in the program; without a curriculum, in all that the key has."""
    return _write_program(program_uuid, rows, update=True)


@router.put(PROGRAM, summary="Enroll keys in a program, or change their status", responses=RESPONSES)
def write_enrollments(program_uuid: Program, rows: NewProgramRows) -> Response[str]:
    """Enroll keys that are not in the program and curriculum yet, and change the status of those that are."""
    return _write_program(program_uuid, rows, create=True, update=True)


@router.post(COURSE, summary="Enroll keys in a course of a program", responses=COURSE_RESPONSES)
def create_course_enrollments(program_uuid: Program, course_key: Course, rows: CourseRows) -> Response[str]:
    """Enroll keys of the program in a course that they are not in yet; a linked account enters it at once."""
    return _write_course(program_uuid, course_key, rows, create=True)


@router.patch(COURSE, summary="Change the status of keys in a course of a program", responses=COURSE_RESPONSES)
def update_course_enrollments(program_uuid: Program, course_key: Course, rows: CourseRows) -> Response[str]:
    """Change the status of keys that are in the course; a linked account's course enrollment follows."""
    return _write_course(program_uuid, course_key, rows, update=True)


@router.put(COURSE, summary="Enroll keys in a course of a program, or change their status", responses=COURSE_RESPONSES)
def write_course_enrollments(program_uuid: Program, course_key: Course, rows: CourseRows) -> Response[str]:
    """Enroll keys of the program in a course that they are not in yet, and change the status of those that are."""
    return _write_course(program_uuid, course_key, rows, create=True, update=True)


def with_one_segment(path: str) -> str:
    """A path whose course key is one segment, however much of it came encoded: some keys have slashes."""
    return COURSE_PATH.sub(lambda found: found[1] + quote(unquote(found[2]), safe="") + found[3], path)


def _write_program(program_uuid: UUID, rows: Sequence[ProgramRowFields], **way: bool) -> Response[str]:
    asked = question(ProgramWriteQuestion, router.context["event"])
    fields = {"program_uuid": program_uuid, "enrollments": list(rows), **way, **asked.given}
    return _answer(read(ProgramWriteRequest, fields))


def _write_course(program_uuid: UUID, course_key: str, rows: Sequence[CourseRowFields], **way: bool) -> Response[str]:
    asked = question(CourseWriteQuestion, router.context["event"])
    fields = {"program_uuid": program_uuid, "course_key": unquote(course_key), "enrollments": list(rows), **way}
    return _answer(read(CourseWriteRequest, fields | asked.given))


def _answer(request: ProgramWriteRequest | CourseWriteRequest) -> Response[str]:
    written = writing.write(request, router.lambda_context)
    return Response(http_status(written).value, JSON, EnrollmentStatuses(written.statuses).model_dump_json())
