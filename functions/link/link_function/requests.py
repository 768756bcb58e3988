"""What goes in and what comes out, as pydantic models; the OpenAPI document is made from them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from program_enrollments import Code
from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, MOST_KEYS, caseless

MOST_DETAILS = 20
LONGEST_SHOWN = 100
LONGEST_TEXT = 1_000

# Lambda takes and gives 6 MB; the rest is for the envelope.
LARGEST_BODY = 6_000_000
LARGEST_ANSWER = 5_950_000
# What a failed key costs in the answer, besides itself and its username: a message, another username, a code.
MESSAGE_BYTES = 400
CODE_BYTES = 30

EXAMPLE: dict[str, Any] = {
    "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
    "external_keys_to_usernames": {"student-001": "alice", "student-002": "bob"},
}

ExternalUserKey = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_KEY, pattern=r"^[^\x00]+$")
]
Username = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_USERNAME, pattern=r"^[^\x00]+$")
]
Text = Annotated[str, BeforeValidator(lambda text: text[:LONGEST_TEXT]), Field(max_length=LONGEST_TEXT)]
Option = Annotated[bool, Field(strict=True)]


class Detail(BaseModel):
    """One fault of a request."""

    where: Text
    what: Text


class Problem(BaseModel):
    """Why a request was not carried out."""

    message: Text
    details: Annotated[list[Detail], Field(max_length=MOST_DETAILS)] = []


class InvalidRequest(Exception):
    """The request is malformed or, where the status says so, too large; the details say what is wrong where."""

    def __init__(
        self, message: str, details: Sequence[Detail] = (), status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(" ".join([message, *(f"{detail.where}: {detail.what}." for detail in details)]))
        self.message = message
        self.details = list(details)
        self.status = status


class LinkRequest(BaseModel):
    """A program, and for each external user key the username of the LMS account that it is to be linked to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                EXAMPLE,
                EXAMPLE | {"curriculum_uuid": "c0ffee00-0000-4000-8000-000000000001"},
                EXAMPLE | {"relink": True},
                EXAMPLE | {"dry_run": True},
                EXAMPLE | {"external_keys_to_usernames": {"STUDENT-001": "alice"}, "ignore_case": True},
            ]
        },
    )

    program_uuid: UUID
    external_keys_to_usernames: Annotated[
        dict[ExternalUserKey, Username], Field(max_length=MOST_KEYS, json_schema_extra={"additionalProperties": False})
    ]
    # It may be left out; null is refused, lest an option that nobody filled in should widen a batch.
    curriculum_uuid: Annotated[UUID, Field(description="Only enrollments of this curriculum.")] = None  # type: ignore[assignment]
    relink: Annotated[Option, Field(description="Take an enrollment from the account that holds it.")] = False
    dry_run: Annotated[Option, Field(description="Answer as a real run would now, and change nothing.")] = False
    ignore_case: Annotated[Option, Field(description="Match external user keys whatever their case.")] = False

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        seen: dict[str, str] = {}
        for key in self.external_keys_to_usernames if self.ignore_case else ():
            if (other := seen.setdefault(caseless(key), key)) != key:
                raise PydanticCustomError("repeated_key", "{a} and {b} differ in case alone", {"a": other, "b": key})
        return self

    @model_validator(mode="after")
    def _answer_fits(self) -> Self:
        """Refuse what might be answered with more than Lambda can give, were every key to fail."""
        keys, usernames = self.external_keys_to_usernames.keys(), self.external_keys_to_usernames.values()
        key_copies = 5 if self.ignore_case else 3
        largest = key_copies * _answer_bytes(keys) + _answer_bytes(usernames) + MESSAGE_BYTES * len(keys)
        if largest > LARGEST_ANSWER:
            raise PydanticCustomError(
                "too_long", "the answer might not fit into 6 MB: send the keys in several batches"
            )
        return self


class LinkResponse(BaseModel):
    """How many keys were linked, and why each of the others was not, in the order of the request."""

    program_uuid: UUID
    linked: Annotated[int, Field(ge=0)]
    errors: Annotated[dict[ExternalUserKey, Text], Field(description="Each failed key with a message for people.")]
    error_codes: Annotated[dict[ExternalUserKey, Code], Field(description="Each failed key with a code for programs.")]
    dry_run: Annotated[bool | None, Field(description="There, and true, where nothing was changed.")] = None


def fitting(errors: Mapping[str, str]) -> dict[str, str]:
    """The error map, with messages cut short where they quote so much of the database that the answer might not fit."""
    most_bytes = LARGEST_ANSWER - 2 * _answer_bytes(errors) - CODE_BYTES * len(errors)
    if _answer_bytes(errors.values()) <= most_bytes:
        return dict(errors)
    return {key: _cut(message, most_bytes // len(errors)) for key, message in errors.items()}


def read_direct(payload: Mapping[str, Any]) -> LinkRequest:
    """Read the payload of a direct invocation; raise `InvalidRequest`."""
    try:
        return LinkRequest.model_validate(payload)
    except ValidationError as error:
        raise invalid(error.errors()) from error


def read_json(text: str) -> dict[str, Any]:
    """Read the JSON object of a body, more strictly than Python does by itself; raise `InvalidRequest`."""
    if len(text) > LARGEST_BODY:
        raise _not_a_request(
            "is larger than 6 MB: send the keys in several batches", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest("The body is not JSON.", [Detail(where=where, what=error.msg)]) from error
    except RecursionError as error:
        raise _not_a_request("is nested too deeply") from error
    except ValueError as error:
        raise _not_a_request("holds a number that is too long") from error
    if not isinstance(value, dict):
        raise _not_a_request("is no JSON object")
    return value


def invalid(errors: Iterable[Mapping[str, Any]]) -> InvalidRequest:
    """Tell pydantic's errors in the words of the API."""
    errors = list(errors)
    too_large = any(error["type"] == "too_long" for error in errors)
    return InvalidRequest(
        "The request is too large." if too_large else "The request is malformed.",
        [Detail(where=_where(error["loc"]), what=error["msg"]) for error in errors[:MOST_DETAILS]],
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST,
    )


def _not_a_request(what: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> InvalidRequest:
    return InvalidRequest("The body is not a request.", [Detail(where="body", what=what)], status)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        repeated = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise InvalidRequest("The body names a key twice.", [Detail(where=_shown(repeated), what="occurs twice")])
    return members


def _refuse_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise InvalidRequest("The body is not JSON.", [Detail(where=name, what="is no JSON value")])


def _where(location: Sequence[str | int]) -> str:
    """Where in the request a fault is; it ends in [key] where that is a key itself and not the username beside it."""
    return ".".join(map(_shown, location[1:] if location[:1] == ("body",) else location)) or "body"


def _shown(part: str | int) -> str:
    """A part of the request as it can be shown: cut short, lone surrogates spelt out, and never empty."""
    return str(part)[:LONGEST_SHOWN].encode(errors="backslashreplace").decode() or '""'


def _answer_bytes(strings: Iterable[str]) -> int:
    """How many bytes the strings take in an answer, whose JSON text is a string in the JSON that Lambda returns."""
    return len(json.dumps(json.dumps(list(strings), ensure_ascii=False), ensure_ascii=False).encode())


def _cut(message: str, most_bytes: int) -> str:
    while _answer_bytes([message]) > most_bytes:
        message = message[: len(message) * 7 // 8 - 1] + "…"
    return message
