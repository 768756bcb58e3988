"""The routes of the roster function, for the OpenAPI document of the whole API: nothing here is ever called."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from pydantic import BaseModel

from lambda_runtime.refusals import Problem
from lambda_runtime.rosters import AwaitedRoster, Listing, NewEnrollments, NewLinks, Roster, RosterPage
from link_function.questions import JSON

ROSTER = "/rosters/<roster_id>"
PROBLEMS = {
    HTTPStatus.BAD_REQUEST: "The request is malformed; nothing was done.",
    HTTPStatus.NOT_FOUND: "There is no such roster, or there is none any more.",
    HTTPStatus.CONFLICT: "The roster is in a state that this does not fit.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large; nothing was done.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service failed; its log says why.",
}
# The parameters of what is read, as link_function.reading has them.
QUESTIONS: dict[str, type[BaseModel]] = {"/rosters": Listing}

api = APIGatewayRestResolver(enable_validation=True)

RosterId = Annotated[UUID, Path(description="The roster.")]


def _responses(status: HTTPStatus, words: str, model: type[BaseModel], *problems: HTTPStatus) -> dict[int, Any]:
    models = {status: (words, model)} | {
        problem: (PROBLEMS[problem], Problem)
        for problem in [HTTPStatus.BAD_REQUEST, *problems, HTTPStatus.INTERNAL_SERVER_ERROR]
    }
    return {
        status.value: {"description": words, "content": {JSON: {"model": model}}}
        for status, (words, model) in models.items()
    }


SHOWN = _responses(HTTPStatus.OK, "The roster as it is now.", Roster, HTTPStatus.NOT_FOUND)
CHANGED = _responses(HTTPStatus.OK, "The roster as it is now.", Roster, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
MADE = _responses(
    HTTPStatus.CREATED,
    "The roster waits for its file.",
    AwaitedRoster,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)


@api.post("/rosters", summary="Ask where to send a file of any size", responses=MADE)
def submit(request: Annotated[NewLinks | NewEnrollments, Body()]) -> None:
    """Make a roster that waits for its file. Send the file to `upload` as a form, within a quarter of an hour."""


@api.get(
    "/rosters",
    summary="List the rosters of a program",
    responses=_responses(HTTPStatus.OK, "A page of rosters, the newest one first.", RosterPage),
)
def listing() -> None:
    """List the rosters of a program, in pages."""


@api.get(ROSTER, summary="Look at a roster", responses=SHOWN)
def view(roster_id: RosterId) -> None:
    """Show how far a roster is, and what came of it."""


@api.post(f"{ROSTER}/stop", summary="Stop a roster between two requests", responses=CHANGED)
def stop(roster_id: RosterId) -> None:
    """Let no further request of a roster start: what is done stays done."""


@api.post(f"{ROSTER}/resume", summary="Let a stopped or failed roster go on", responses=CHANGED)
def resume(roster_id: RosterId) -> None:
    """Send the requests of a roster that have no answer yet."""
