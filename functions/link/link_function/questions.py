"""What a reading request may ask: its parameters, and the form that the answer is to have."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from lambda_runtime.refusals import MOST_DETAILS, Detail, Fields, InvalidRequest, read, shown
from link_function.cursors import LENGTH
from link_function.requests import ExternalUserKey, Username
from program_enrollments.reading.answers import Status
from program_enrollments.reading.verbs import LARGEST_PAGE, USUAL_PAGE

MALFORMED = "The request is malformed."
JSON, CSV = "application/json", "text/csv"
LONGEST_NUMBER = 9


def _flag(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


def _number(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else text


Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
PageSize = Annotated[int, Field(strict=True, ge=1, le=LARGEST_PAGE), BeforeValidator(_number)]


class Question(Fields):
    """The parameters of a request. One may be left out, but what is there is never null."""

    @property
    def given(self) -> dict[str, Any]:
        """What the request gives, by name."""
        return self.model_dump(exclude_unset=True)


class ProgramsQuestion(Question):
    """GET /programs has no parameters."""


class EnrollmentsQuestion(Question):
    """The parameters of GET /programs/{program_uuid}/enrollments."""

    waiting: Annotated[Flag, Field(description="Only those that wait, or only those that do not.")] = None  # type: ignore[assignment]
    status: Annotated[Status, Field(description="Only enrollments with this status.")] = None  # type: ignore[assignment]
    curriculum_uuid: Annotated[UUID, Field(description="Only enrollments of this curriculum.")] = None  # type: ignore[assignment]
    page_size: Annotated[PageSize, Field(description="How many enrollments a page has at most.")] = USUAL_PAGE
    cursor: Annotated[
        str,
        Field(
            description="The page's place, from `next` or `previous` of an answer to the same question.",
            json_schema_extra={"minLength": LENGTH, "maxLength": LENGTH},
        ),
    ] = None  # type: ignore[assignment]

    @property
    def filters(self) -> dict[str, Any]:
        """What narrows the answer down."""
        return {name: value for name, value in self.given.items() if name not in {"page_size", "cursor"}}


class LearnerQuestion(Question):
    """The parameters of GET /learners: a key or a username."""

    external_user_key: Annotated[ExternalUserKey, Field(description="The learner's key, exactly.")] = None  # type: ignore[assignment]
    username: Annotated[Username, Field(description="The username of the learner's account, exactly.")] = None  # type: ignore[assignment]
    program_uuid: Annotated[UUID, Field(description="Only enrollments in this program.")] = None  # type: ignore[assignment]


def question[Q: Question](model: type[Q], event: Mapping[str, Any]) -> Q:
    """Read the parameters of a request; raise `InvalidRequest` if one is unknown, malformed or there twice."""
    values = _parameters(event)
    if repeated := [name for name, each in values.items() if len(each) != 1]:
        raise InvalidRequest(
            MALFORMED, [Detail(where=shown(name), what="must be given once") for name in repeated[:MOST_DETAILS]]
        )
    return read(model, {name: value for name, [value] in values.items()})


def learner_question(event: Mapping[str, Any]) -> LearnerQuestion:
    """Read who is asked for: exactly one of a key and a username."""
    asked = question(LearnerQuestion, event)
    named = asked.given.keys() - {"program_uuid"}
    if not named:
        raise InvalidRequest("The request names no learner.", [_either("is required, unless there is a username")])
    if len(named) > 1:
        raise InvalidRequest("The request names two learners.", [_either("cannot be given together with username")])
    return asked


def _either(what: str) -> Detail:
    return Detail(where="external_user_key", what=what)


def wants_csv(event: Mapping[str, Any]) -> bool:
    """Whether the caller prefers CSV to JSON, which is also what goes without saying."""
    ranges = [_range(text) for text in _header(event, "accept").split(",")]
    return _preference(ranges, CSV) > _preference(ranges, JSON)


def _range(text: str) -> tuple[str, float]:
    """A media range with its weight: 1 if there is none, 0 if it is none that HTTP knows."""
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = next((value for name, _, value in (each.partition("=") for each in parameters) if name == "q"), "1")
    return media, float(weight) if re.fullmatch(r"0([.][0-9]{0,3})?|1([.]0{0,3})?", weight) else 0.0


def _preference(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """The weight of the most specific range that covers a media type, and how specific that is."""
    covering = ["*/*", f"{media_type.partition('/')[0]}/*", media_type]
    found = [(covering.index(media), weight) for media, weight in ranges if media in covering]
    specific, weight = max(found, default=(0, 0.0))
    return (weight, specific) if weight else (0.0, 0)


def _header(event: Mapping[str, Any], name: str) -> str:
    """All values of a header as one, however the event spells its name."""
    for headers in (event.get("multiValueHeaders"), event.get("headers")):
        if isinstance(headers, Mapping):
            values = [value for spelt, value in headers.items() if str(spelt).lower() == name]
            if values:
                return ",".join(
                    str(each) for value in values for each in (value if isinstance(value, list) else [value])
                )
    return ""


def _parameters(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """All values of each parameter of the query."""
    single, several = event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
    values = {name: [value] for name, value in single.items()} if isinstance(single, Mapping) else {}
    if isinstance(several, Mapping):
        values |= {name: value if isinstance(value, list) else [value] for name, value in several.items()}
    return {str(name): [str(each or "") for each in value] for name, value in values.items()}
