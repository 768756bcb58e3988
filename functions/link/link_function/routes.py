"""The HTTP API: POST /links, its documentation, and the one table of exceptions and HTTP statuses."""

import binascii
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

from lambda_runtime.observability import FAILED, logger, report_failure
from link_function import service
from link_function.requests import Detail, InvalidRequest, LinkRequest, LinkResponse, Problem, invalid, read_json
from program_enrollments import DatabaseNotReady, LinkingUnavailable

DOCUMENTATION = ("/openapi.json", "/docs")
METHODS = {"/links": "POST"} | dict.fromkeys((*DOCUMENTATION, "/", "/page/settings.json"), "GET")
RETRY_AFTER = {"Retry-After": "5"}
ANSWERS: dict[HTTPStatus, tuple[str, type[BaseModel]]] = {
    HTTPStatus.OK: ("Every key was linked, or there was none.", LinkResponse),
    HTTPStatus.MULTI_STATUS: ("Some keys were linked, and some were not.", LinkResponse),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("No key was linked.", LinkResponse),
    HTTPStatus.BAD_REQUEST: ("The request is malformed; nothing was done.", Problem),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The request is too large; nothing was done.", Problem),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("The service or its database is set up wrongly; its log says how.", Problem),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The database is out of reach or out of time; send the batch again.", Problem),
}

api = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=read_json)


def resolve(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway proxy event. A body is JSON or it is refused: forms are no second way in.

    Nothing but method, path, stage, media type and body is looked at, so that nothing else can do harm.
    """
    if event["path"] in DOCUMENTATION:
        _document()
    headers, body = event.get("headers"), event.get("body")
    seen = {
        "httpMethod": event["httpMethod"],
        "path": event["path"],
        "requestContext": _base(event),
        "headers": {"content-type": _media_type(headers if isinstance(headers, Mapping) else {})},
        "body": body if isinstance(body, str) else None,
        "isBase64Encoded": event.get("isBase64Encoded") is True,
    }
    return api.resolve(seen, context)


def _base(event: Mapping[str, Any]) -> dict[str, str]:
    """What tells the documentation the API's own address."""
    match event.get("requestContext"):
        case {"stage": str(stage), "path": str(path)}:
            return {"stage": stage, "path": path}
    return {"stage": "", "path": ""}


def _media_type(headers: Mapping[str, object]) -> str:
    """JSON, which is also what goes without saying, or something that the router refuses."""
    named = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    media_type = str(named or content_types.APPLICATION_JSON).partition(";")[0].strip().lower()
    return media_type if media_type == content_types.APPLICATION_JSON else f"unsupported {media_type}"


@api.post(
    "/links",
    summary="Link external user keys to LMS accounts",
    responses={
        status.value: {"description": description, "content": {content_types.APPLICATION_JSON: {"model": model}}}
        for status, (description, model) in ANSWERS.items()
    },
)
def link_program_enrollments(request: Annotated[LinkRequest, Body()]) -> Response[str]:
    """Link each external user key of the program to the LMS account beside it.

    A key that cannot be linked is told in `errors` and leaves no trace; the others are linked, and their accounts enter
    the master's track of the courses that waited for them. Repeating a batch is safe.
    """
    response = service.link(request, api.lambda_context)
    return _answer(_status(response), response)


@api.get("/openapi.json", include_in_schema=False)
def openapi() -> Response[str]:
    """The OpenAPI document, which names the address that the API has for whoever asks."""
    from aws_lambda_powertools.event_handler.openapi.models import Server  # noqa: PLC0415 - see _document

    servers = [Server(url=api._get_base_path() or "/")]  # noqa: SLF001 - as Powertools' own page of it does
    return Response(HTTPStatus.OK.value, content_types.APPLICATION_JSON, api.get_openapi_json_schema(servers=servers))


@api.get("/", include_in_schema=False)
def page() -> Response[str]:
    """The page for people, which names the address that the API has for whoever asks."""
    from link_function import page  # noqa: PLC0415 - only whoever looks pays for it

    outside: str = api.current_event["requestContext"]["path"]
    return page.index(outside.removesuffix("/") + "/")


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


@cache
def _document() -> None:
    """Add the documentation when it is first asked for: Powertools' models of it take 0.1 s to import."""
    api.configure_openapi(
        title="Program linking",
        version="1.0.0",
        description="Links the external student keys of Open edX programs to LMS accounts.",
    )
    api.enable_swagger(path="/docs")


@api.exception_handler(InvalidRequest)
def _invalid_request(error: InvalidRequest) -> Response[str]:
    return _refusal(error)


@api.exception_handler(RequestValidationError)
def _invalid_fields(error: RequestValidationError) -> Response[str]:
    return _refusal(invalid(error.errors()))


@api.exception_handler(RequestUnsupportedContentType)
def _unsupported_content_type(_: RequestUnsupportedContentType) -> Response[str]:
    message = "The body must be JSON: send Content-Type application/json."
    return _refusal(InvalidRequest(message, [Detail(where="Content-Type", what="is not application/json")]))


@api.exception_handler([UnicodeError, binascii.Error])
def _undecodable(error: ValueError) -> Response[str]:
    message = "The body is not UTF-8, or not the base64 that it is said to be."
    return _refusal(InvalidRequest(message, [Detail(where="body", what=str(error))]))


@api.exception_handler(LinkingUnavailable)
def _unavailable(error: LinkingUnavailable) -> Response[str]:
    logger.error("Linking unavailable", extra={"reason": str(error)})
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE, Problem(message=str(error)), RETRY_AFTER)


@api.exception_handler(DatabaseNotReady)
def _not_ready(error: DatabaseNotReady) -> Response[str]:
    logger.error("Database not ready", extra={"reason": str(error)})
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, Problem(message=str(error)))


@api.exception_handler(Exception)
def _failed(error: Exception) -> Response[str]:
    report_failure(error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, Problem(message=FAILED))


@api.not_found
def _no_such_route(_: NotFoundError) -> Response[str]:
    path = api.current_event.path
    if method := METHODS.get(path):
        return _answer(
            HTTPStatus.METHOD_NOT_ALLOWED, Problem(message=f"{path} takes {method} alone."), {"Allow": method}
        )
    return _answer(HTTPStatus.NOT_FOUND, Problem(message="There is nothing here: send POST /links, or GET /docs."))


def _refusal(error: InvalidRequest) -> Response[str]:
    return _answer(error.status, Problem(message=error.message, details=error.details))


def _status(response: LinkResponse) -> HTTPStatus:
    if not response.errors:
        return HTTPStatus.OK
    return HTTPStatus.MULTI_STATUS if response.linked else HTTPStatus.UNPROCESSABLE_ENTITY


def _answer(status: HTTPStatus, body: BaseModel, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(
        status.value, content_types.APPLICATION_JSON, body.model_dump_json(exclude_none=True), dict(headers or {})
    )
