"""The HTTP API of rosters: paths, methods and parameters, and what each kind of refusal is answered with."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from lambda_runtime.bodies import read_json
from lambda_runtime.events import caller, response, route_event
from lambda_runtime.observability import report_failure
from lambda_runtime.refusals import Detail, Fields, InvalidRequest, read
from lambda_runtime.rosters import Listing
from roster_function import api, bucket
from roster_function.api import NoSuchRoster, NotNow
from roster_function.options import read_request
from roster_function.record import Record

FAILED = "The service failed; its log says why. Asking again is safe."
ROSTER = re.compile(r"/rosters/([^/]+)(/stop|/resume)?")

type Event = Mapping[str, Any]
type Answer = tuple[HTTPStatus, dict[str, Any]]


class NoParameters(Fields):
    """Nothing is asked for beside what the path says."""


class WrongMethod(Exception):
    """The path is there and does not take the method; `allowed` are those that it takes."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


def resolve(event: Event) -> dict[str, Any]:
    """Answer an API Gateway proxy event."""
    try:
        return response(*_answer(event))
    except Exception as error:  # noqa: BLE001 - one place says what becomes of each
        return _refusal(error)


def _answer(event: Event) -> Answer:
    seen = route_event(event)
    method = seen["httpMethod"]
    methods, arguments = _route(_path(event) or seen["path"])
    if method not in methods:
        raise WrongMethod(", ".join(methods))
    return methods[method](event, seen, *arguments)


def _path(event: Event) -> str | None:
    """The path below the API's address, as API Gateway found it: a path mapping of a custom domain is no part of it."""
    match event:
        case {"resource": "/rosters"}:
            return "/rosters"
        case {"resource": "/rosters/{roster+}", "pathParameters": {"roster": str(rest)}}:
            return f"/rosters/{rest}"
    return None


def _route(path: str) -> tuple[dict[str, Callable[..., Answer]], list[str]]:
    """What can be done at a path, by method, and the id that it names."""
    if path == "/rosters":
        return {"GET": _list, "POST": _submit}, []
    if found := ROSTER.fullmatch(path):
        actions: dict[str | None, dict[str, Callable[..., Answer]]] = {
            None: {"GET": _act(api.view)},
            "/stop": {"POST": _act(api.stop)},
            "/resume": {"POST": _act(api.resume)},
        }
        return actions[found[2]], [found[1]]
    raise NoSuchRoster("There is nothing here.")


def _submit(event: Event, seen: Event) -> Answer:
    _parameters(event, NoParameters)
    if not seen["headers"]["content-type"] == "application/json":
        raise InvalidRequest("The body must be JSON.", [Detail(where="Content-Type", what="is not application/json")])
    request = read_request(read_json(seen["body"] or ""))
    return HTTPStatus.CREATED, api.submit(request, _who(event))


def _list(event: Event, _: Event) -> Answer:
    asked = _parameters(event, Listing)
    return HTTPStatus.OK, api.listing(str(asked.program_uuid), asked.page_size, asked.cursor or "")


def _act(action: Callable[[Record], dict[str, Any]]) -> Callable[..., Answer]:
    def act(event: Event, _: Event, roster_id: str) -> Answer:
        _parameters(event, NoParameters)
        return HTTPStatus.OK, action(_known(roster_id))

    return act


def _known(roster_id: str) -> Record:
    try:
        record = bucket.load(str(UUID(roster_id)))
    except ValueError:
        record = None
    if record is None:
        raise NoSuchRoster("There is no such roster; the bucket keeps them for a limited time.")
    return record


def _parameters[F: Fields](event: Event, model: type[F]) -> F:
    """The query parameters; one that occurs twice is refused, as is one that is not known."""
    many: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    twice = [Detail(where=name, what="occurs twice") for name, values in many.items() if len(values) > 1]
    if twice:
        raise InvalidRequest("The query is malformed.", twice)
    return read(model, dict(event.get("queryStringParameters") or {}))


def _who(event: Event) -> str:
    """The caller, as a roster's record has it."""
    return ", ".join((caller(event) or {"caller": "unknown"}).values())


def _refusal(error: Exception) -> dict[str, Any]:
    match error:
        case InvalidRequest():
            details = [detail.model_dump() for detail in error.details]
            return response(error.status, {"message": error.message, "details": details})
        case NoSuchRoster():
            return response(HTTPStatus.NOT_FOUND, _problem(str(error)))
        case NotNow():
            return response(HTTPStatus.CONFLICT, _problem(str(error)))
        case WrongMethod():
            answer = response(HTTPStatus.METHOD_NOT_ALLOWED, _problem(f"This takes {error.allowed}."))
            answer["headers"]["Allow"] = error.allowed
            answer["multiValueHeaders"]["Allow"] = [error.allowed]
            return answer
    report_failure(error)
    return response(HTTPStatus.INTERNAL_SERVER_ERROR, _problem(FAILED))


def _problem(message: str) -> dict[str, Any]:
    return {"message": message, "details": []}
