"""The routes that read: programs, their enrollments in pages, and all about a learner."""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, TypedDict
from urllib.parse import urlencode
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path

from lambda_runtime.connection import on_connection
from lambda_runtime.events import base_path, origin, route_path
from lambda_runtime.observability import logger
from lambda_runtime.refusals import MOST_DETAILS, Detail, InvalidRequest, Problem
from link_function.cursors import Place, cursor, place
from link_function.questions import (
    CSV,
    JSON,
    MALFORMED,
    EnrollmentsQuestion,
    LearnerQuestion,
    ProgramsQuestion,
    Question,
    learner_question,
    question,
    wants_csv,
)
from link_function.requests import LARGEST_ANSWER
from program_enrollments import NoSuchLearner, read_enrollments, read_learner, read_programs
from program_enrollments.postgres.session import Connection
from program_enrollments.reading.answers import Learner, ListedEnrollment, Page, Program

# The parameters of each route, for those who read them and for the OpenAPI document.
QUESTIONS: dict[str, type[Question]] = {
    "/programs": ProgramsQuestion,
    "/programs/{program_uuid}/enrollments": EnrollmentsQuestion,
    "/learners": LearnerQuestion,
}
PROBLEMS: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "A parameter is unknown, malformed or there twice; nothing was read.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The answer would not fit into 6 MB.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service or its database is set up wrongly; its log says how.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is out of reach or out of time; ask again.",
}

router = Router()  # type: ignore[no-untyped-call]


class ProgramsAnswer(TypedDict):
    """All programs that have enrollments."""

    programs: list[Program]


class EnrollmentsAnswer(TypedDict):
    """A page of enrollments, oldest first, and the addresses of the pages beside it; null if there is none."""

    next: str | None
    previous: str | None
    results: list[ListedEnrollment]


def _responses(description: str, model: type, problems: Mapping[HTTPStatus, str], **content: object) -> dict[int, Any]:
    return {
        HTTPStatus.OK.value: {"description": description, "content": {JSON: {"model": model}, **content}},
        **{
            status.value: {"description": words, "content": {JSON: {"model": Problem}}}
            for status, words in problems.items()
        },
    }


@router.get(
    "/programs",
    summary="List the programs with how many enrollments are linked and wait",
    responses=_responses("All programs that have enrollments.", ProgramsAnswer, PROBLEMS),
)
def list_programs() -> Response[str]:
    """List each program that has enrollments, with how many there are, how many are linked and how many wait."""
    event = router.context["event"]
    question(ProgramsQuestion, event)
    programs = _read(read_programs)
    _log(event, len(programs))
    return _json({"programs": programs})


@router.get(
    "/programs/<program_uuid>/enrollments",
    summary="List the enrollments of a program in pages",
    responses=_responses(
        "One page, oldest enrollment first.", EnrollmentsAnswer, PROBLEMS, **{CSV: {"schema": {"type": "string"}}}
    ),
)
def list_enrollments(program_uuid: Annotated[UUID, Path(description="The program.")]) -> Response[str]:
    """List the enrollments of a program in pages, oldest first; all, or those that the filters leave.

    `next` and `previous` are the addresses of the pages beside this one. A page that is asked for as `text/csv` has the
    same rows, and these addresses in its Link header.
    """
    event = router.context["event"]
    asked = question(EnrollmentsQuestion, event)
    page = _read(
        read_enrollments,
        program_uuid,
        **asked.filters,
        **_place(program_uuid, asked)._asdict(),
        page_size=asked.page_size,
    )
    _log(event, len(page.results))
    return _page(page, _addresses(event, program_uuid, asked, page), as_csv=wants_csv(event))


@router.get(
    "/learners",
    summary="Show all about a learner, and what is amiss",
    responses=_responses(
        "All enrollments of the key or of the account.",
        Learner,
        {HTTPStatus.NOT_FOUND: "No enrollment has the key, or no account the username.", **PROBLEMS},
    ),
)
def show_learner() -> Response[str]:
    """Show the enrollments of an external user key, or those that an account holds, as Open edX's inspector does.

    Each has its holder, its courses with what the LMS has of them, roles that wait, and the last 20 changes of each.
    `findings` say in words what is amiss or still waits, and what to do about it.
    """
    event = router.context["event"]
    asked = learner_question(event)
    try:
        learner = _read(read_learner, **asked.given)
    except NoSuchLearner as error:
        _log(event, 0)
        similar = [Detail(where="similar external_user_key", what=key) for key in error.similar_keys[:MOST_DETAILS]]
        raise InvalidRequest(str(error), similar, HTTPStatus.NOT_FOUND) from error
    _log(event, len(learner["enrollments"]))
    return _json(learner)


def _read[T](verb: Callable[..., T], *arguments: object, **options: object) -> T:
    def work(connection: Connection, deadline: float) -> T:
        return verb(connection, *arguments, **options, seconds=deadline - time.monotonic())

    return on_connection(router.lambda_context, work)


def _log(event: Mapping[str, Any], rows: int) -> None:
    """Log who read how much, where; the logger adds the caller."""
    logger.info("Read", extra={"path": route_path(event), "rows": rows})


def _place(program_uuid: UUID, asked: EnrollmentsQuestion) -> Place:
    if "cursor" not in asked.given:
        return Place()
    if (found := place(asked.cursor, _rows_of(program_uuid, asked))) is None:
        what = "is not a cursor of this question: take it from next or previous of an answer, with the same filters"
        raise InvalidRequest(MALFORMED, [Detail(where="cursor", what=what)])
    return found


def _rows_of(program_uuid: UUID, asked: EnrollmentsQuestion) -> str:
    return f"{program_uuid} {_written(asked.filters)}"


def _written(filters: Mapping[str, object]) -> dict[str, str]:
    """Filters as a query has them; their own order is that of the parameters."""
    return {name: str(value).lower() for name, value in filters.items()}


def _addresses(
    event: Mapping[str, Any], program_uuid: UUID, asked: EnrollmentsQuestion, page: Page
) -> dict[str, str | None]:
    """The addresses of the pages beside this one, by their relation to it."""

    def address(to: Place) -> str | None:
        if to == Place():
            return None
        beside = cursor(to, _rows_of(program_uuid, asked))
        query = urlencode({**_written(asked.filters), "page_size": asked.page_size, "cursor": beside})
        return f"{origin(event)}{base_path(event)}{route_path(event)}?{query}"

    return {
        "next": address(Place(after=page.next_after)),
        "previous": address(Place(before=page.previous_before)),
    }


def _page(page: Page, addresses: Mapping[str, str | None], *, as_csv: bool) -> Response[str]:
    links = [f'<{address}>; rel="{relation}"' for relation, address in addresses.items() if address]
    headers = {"Vary": "Accept", **({"Link": ", ".join(links)} if links else {})}
    if as_csv:
        return Response(HTTPStatus.OK.value, f"{CSV}; charset=utf-8", _fitting(_csv(page)), headers)
    return _json({**addresses, "results": page.results}, headers)


def _csv(page: Page) -> str:
    """The rows as CSV: what is null is empty, and true and false are in small letters as in JSON."""
    text = io.StringIO()
    rows = csv.DictWriter(text, list(ListedEnrollment.__annotations__))
    rows.writeheader()
    rows.writerows({**row, "account_exists": json.dumps(row["account_exists"])} for row in page.results)
    return text.getvalue()


def _json(answer: object, headers: dict[str, str] | None = None) -> Response[str]:
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return Response(HTTPStatus.OK.value, JSON, _fitting(text), dict(headers or {}))


def _fitting(text: str) -> str:
    """The text of an answer, if Lambda can give it away; it is a string in the JSON that Lambda returns."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > LARGEST_ANSWER:
        detail = Detail(where="answer", what="would be larger than 6 MB: name a program_uuid, or a smaller page_size")
        raise InvalidRequest("The answer is too large.", [detail], HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return text
