"""The HTTP API: POST /links and its documentation."""

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from lambda_runtime.bodies import read_json
from lambda_runtime.events import base_path, response, route_event
from lambda_runtime.refusals import Detail, InvalidRequest, Problem, invalid, not_a_request
from link_function import service
from link_function.failures import failure
from link_function.requests import EXAMPLES, LinkRequest, LinkResponse

ANSWERS: dict[HTTPStatus, tuple[str, type[BaseModel]]] = {
    HTTPStatus.OK: ("Every key is linked to its account now, or there was none.", LinkResponse),
    HTTPStatus.MULTI_STATUS: ("Some keys are linked to their accounts now, and some are not.", LinkResponse),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("No key is linked to its account.", LinkResponse),
    HTTPStatus.BAD_REQUEST: ("The request is malformed; nothing was done.", Problem),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The request is too large; nothing was done.", Problem),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("The service or its database is set up wrongly; its log says how.", Problem),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The database is out of reach or out of time; send the batch again.", Problem),
}

LINKS = "/links"

api = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=read_json)


def resolve(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway proxy event. A body is JSON or it is refused: forms are no second way in."""
    try:
        seen = route_event(event)
        if seen["path"] != LINKS:
            seen["path"] = _with_other_routes(seen["path"])
        _refuse_list(seen)
    except InvalidRequest as error:
        refused = failure(error)
        return response(refused.status, refused.problem.model_dump())
    api.append_context(address=base_path(event), event=event)  # type: ignore[no-untyped-call]
    return api.resolve(seen, context)


def _refuse_list(seen: Mapping[str, Any]) -> None:
    """Refuse a list of requests: the router would take the first one for the whole."""
    text = seen["body"] or ""
    if seen["path"].rstrip("/") == LINKS and text.lstrip().startswith("[") and isinstance(read_json(text), list):
        raise not_a_request("is no JSON object")


def _with_other_routes(path: str) -> str:
    """Add the routes that read and enroll, which no cold start of a linking request pays for; return the route."""
    from link_function import enrolling  # noqa: PLC0415

    _add_other_routes()
    return enrolling.with_one_segment(path)


@cache
def _add_other_routes() -> None:
    from link_function import enrolling, reading  # noqa: PLC0415

    api.include_router(reading.router)
    api.include_router(enrolling.router)


@api.post(
    LINKS,
    summary="Link external user keys to LMS accounts",
    responses={
        status.value: {"description": description, "content": {content_types.APPLICATION_JSON: {"model": model}}}
        for status, (description, model) in ANSWERS.items()
    },
)
def link_program_enrollments(request: Annotated[LinkRequest, Body(openapi_examples=EXAMPLES)]) -> Response[str]:
    """Link each external user key of the program to the LMS account beside it.

    A key that cannot be linked is reported in `errors` and leaves no trace; the others are linked, and their accounts
    enter the master's track of the courses that waited for them. Repeating a batch is safe.
    """
    answer = service.link(request, api.lambda_context)
    return _answer(answer.status, answer)


@api.get("/openapi.json", include_in_schema=False)
def openapi() -> Response[str]:
    """The OpenAPI document, which names the address that the API has for whoever asks."""
    from link_function import documentation  # noqa: PLC0415 - only whoever looks pays for it

    text = json.dumps(documentation.document(api, api.context["address"]))
    return Response(HTTPStatus.OK.value, content_types.APPLICATION_JSON, text)


@api.get("/", include_in_schema=False)
def page() -> Response[str]:
    """The page for people, which names the address that the API has for whoever asks."""
    from link_function import page  # noqa: PLC0415 - likewise

    return page.index(f"{api.context['address']}/")


@api.get("/page/settings.json", include_in_schema=False)
def page_settings() -> Response[str]:
    """What the page has to know of the service."""
    from link_function import page  # noqa: PLC0415 - likewise

    return page.settings()


@api.get("/page/<version>/<name>", include_in_schema=False)
def page_asset(version: str, name: str) -> Response[str]:
    """A file of the page."""
    from link_function import page  # noqa: PLC0415 - likewise

    return page.asset(version, name) or _answer(HTTPStatus.NOT_FOUND, Problem(message="The page has no such file."))


@api.get("/docs", include_in_schema=False)
def docs() -> Response[str]:
    """A page on which a person can read the document and try the API."""
    from link_function import documentation  # noqa: PLC0415 - likewise

    return Response(HTTPStatus.OK.value, content_types.TEXT_HTML, documentation.page(api, api.context["address"]))


@api.exception_handler(Exception)
def _failed(error: Exception) -> Response[str]:
    return _failure_answer(error)


@api.exception_handler(RequestValidationError)
def _invalid_fields(error: RequestValidationError) -> Response[str]:
    return _failure_answer(invalid(error.errors()))


@api.exception_handler(RequestUnsupportedContentType)
def _unsupported_content_type(_: RequestUnsupportedContentType) -> Response[str]:
    message = "The body must be JSON: send Content-Type application/json."
    return _failure_answer(InvalidRequest(message, [Detail(where="Content-Type", what="is not application/json")]))


@api.not_found
def _no_such_route(_: NotFoundError) -> Response[str]:
    path = api.current_event.path
    if methods := _methods(path):
        message = f"{path} takes {methods} only."
        return _answer(HTTPStatus.METHOD_NOT_ALLOWED, Problem(message=message), {"Allow": methods})
    return _answer(HTTPStatus.NOT_FOUND, Problem(message="There is nothing here: send POST /links, or GET /docs."))


def _methods(path: str) -> str:
    """The methods that a path takes; none if there is nothing at it."""
    routes = api._static_routes + api._dynamic_routes  # noqa: SLF001 - Powertools answers 404 for a wrong method
    return ", ".join(sorted({route.method for route in routes if route.rule.match(path)}))


def _failure_answer(error: Exception) -> Response[str]:
    failed = failure(error)
    return _answer(failed.status, failed.problem, failed.headers)


def _answer(status: HTTPStatus, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response[str]:
    return Response(
        status.value, content_types.APPLICATION_JSON, body.model_dump_json(exclude_none=True), dict(headers or {})
    )
