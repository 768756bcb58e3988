"""What goes in and what comes out, as pydantic models; the OpenAPI document is made from them."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lambda_runtime.fields import Option
from lambda_runtime.refusals import Fields, Text, fault, shown
from program_enrollments import Code
from program_enrollments.limits import LONGEST_KEY, LONGEST_USERNAME, MOST_KEYS, caseless

# Lambda gives 6 MB; the rest is for the envelope.
LARGEST_ANSWER = 5_950_000
# What a failed key costs in the answer, besides itself and its username: a message, another username, a code.
MESSAGE_BYTES = 400
CODE_BYTES = 30

BATCH: dict[str, Any] = {
    "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
    "external_keys_to_usernames": {"student-001": "alice", "student-002": "bob"},
}
OTHER_CASE = {"external_keys_to_usernames": {"STUDENT-001": "alice"}}
EXAMPLES: dict[str, Any] = {
    "batch": {"summary": "Link two keys", "value": BATCH},
    "curriculum_uuid": {
        "summary": "Only enrollments of one curriculum",
        "value": BATCH | {"curriculum_uuid": "c0ffee00-0000-4000-8000-000000000001"},
    },
    "relink": {"summary": "Take enrollments from the accounts that hold them", "value": BATCH | {"relink": True}},
    "dry_run": {"summary": "Answer as a real run would, and change nothing", "value": BATCH | {"dry_run": True}},
    "ignore_case": {"summary": "Match keys whatever their case", "value": BATCH | OTHER_CASE | {"ignore_case": True}},
}

ExternalUserKey = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_KEY, pattern=r"^[^\x00]+$")
]
Username = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_USERNAME, pattern=r"^[^\x00]+$")
]


class LinkRequest(Fields):
    """A program, and for each external user key the username of the LMS account that it is to be linked to."""

    program_uuid: UUID
    external_keys_to_usernames: Annotated[
        dict[ExternalUserKey, Username], Field(max_length=MOST_KEYS, json_schema_extra={"additionalProperties": False})
    ]
    # It may be left out; null is refused, so that an option that nobody filled in cannot widen a batch.
    curriculum_uuid: Annotated[UUID, Field(description="Only enrollments of this curriculum.")] = None  # type: ignore[assignment]
    relink: Annotated[Option, Field(description="Take an enrollment from the account that holds it.")] = False
    dry_run: Annotated[Option, Field(description="Answer as a real run would now, and change nothing.")] = False
    ignore_case: Annotated[Option, Field(description="Match external user keys whatever their case.")] = False

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        seen: dict[str, str] = {}
        for key in self.external_keys_to_usernames if self.ignore_case else ():
            if (other := seen.setdefault(caseless(key), key)) != key:
                raise fault("keys_alike", a=shown(other), b=shown(key))
        return self

    @model_validator(mode="after")
    def _answer_fits(self) -> Self:
        """Refuse what might be answered with more than Lambda can give, were every key to fail."""
        keys, usernames = self.external_keys_to_usernames.keys(), self.external_keys_to_usernames.values()
        key_copies = 5 if self.ignore_case else 3
        largest = key_copies * answer_bytes(keys) + answer_bytes(usernames) + MESSAGE_BYTES * len(keys)
        if largest > LARGEST_ANSWER:
            raise fault("answer_too_large")
        return self


class LinkResponse(BaseModel):
    """How many keys were linked, and why each of the others was not, in the order of the request."""

    model_config = ConfigDict(defer_build=True)  # pages, reads and refusals do without it
    program_uuid: UUID
    linked: Annotated[int, Field(ge=0)]
    errors: Annotated[dict[ExternalUserKey, Text], Field(description="Each failed key with a message for people.")]
    error_codes: Annotated[dict[ExternalUserKey, Code], Field(description="Each failed key with a code for programs.")]
    dry_run: Annotated[bool | None, Field(description="There, and true, if nothing was changed.")] = None

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status: a key that was linked to its account before counts as linked."""
        failed = sum(code is not Code.ALREADY_LINKED for code in self.error_codes.values())
        if not failed:
            return HTTPStatus.OK
        is_any_done = self.linked or failed < len(self.error_codes)
        return HTTPStatus.MULTI_STATUS if is_any_done else HTTPStatus.UNPROCESSABLE_ENTITY


def fitting(errors: Mapping[str, str]) -> dict[str, str]:
    """The error map, with messages cut short if they quote so much of the database that the answer might not fit."""
    most_bytes = LARGEST_ANSWER - 2 * answer_bytes(errors) - CODE_BYTES * len(errors)
    if answer_bytes(errors.values()) <= most_bytes:
        return dict(errors)
    return {key: _cut(message, most_bytes // len(errors)) for key, message in errors.items()}


def answer_bytes(strings: Iterable[str]) -> int:
    """How many bytes the strings take in an answer, whose JSON text is a string in the JSON that Lambda returns."""
    return len(json.dumps(json.dumps(list(strings), ensure_ascii=False), ensure_ascii=False).encode())


def _cut(message: str, most_bytes: int) -> str:
    while answer_bytes([message]) > most_bytes:
        message = message[: len(message) * 7 // 8 - 1] + "…"
    return message
