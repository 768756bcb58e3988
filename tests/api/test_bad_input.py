"""Requests: what is refused, with a message that says what is wrong and where, before the database is reached."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.link.app import lambda_handler
from lambda_runtime.refusals import InvalidRequest
from local.invocation import invocation
from local.lms import PROGRAM
from tests.api.support import body, keys, refused
from tests.api.test_bodies import TEXTS
from tests.support import call_api, load_event

pytestmark = pytest.mark.usefixtures("no_database")

LONG_KEY, LONG_USERNAME = "k" * 256, "u" * 151


NO_BOOLEANS: list[object] = ["true", "false", "", 1, 0, 1.0, None, [], {}]

# Requests that are JSON objects: they can come as a payload too. Beside each, where the fault is.
OBJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "no fields": ({}, "program_uuid"),
    "no program": (body(program_uuid=...), "program_uuid"),
    "program is null": (body(program_uuid=None), "program_uuid"),
    "program is no UUID": (body(program_uuid="MS-Analytics"), "program_uuid"),
    "program is empty": (body(program_uuid=""), "program_uuid"),
    "program is a number": (body(program_uuid=1), "program_uuid"),
    "program is a list": (body(program_uuid=[PROGRAM]), "program_uuid"),
    "program is true": (body(program_uuid=True), "program_uuid"),
    "program with space": (body(program_uuid=PROGRAM + " "), "program_uuid"),
    "program is cut": (body(program_uuid=PROGRAM[:-1]), "program_uuid"),
    "program with NUL": (body(program_uuid=PROGRAM + "\0"), "program_uuid"),
    "program with surrogate": (body(program_uuid=PROGRAM + "\ud800"), "program_uuid"),
    "no keys": (body(external_keys_to_usernames=...), "external_keys_to_usernames"),
    "keys are null": (keys(None), "external_keys_to_usernames"),
    "keys are a list": (keys(["student-001", "alice"]), "external_keys_to_usernames"),
    "keys are pairs": (keys([["student-001", "alice"]]), "external_keys_to_usernames"),
    "keys are text": (keys("student-001"), "external_keys_to_usernames"),
    "keys are a number": (keys(0), "external_keys_to_usernames"),
    "keys are false": (body(external_keys_to_usernames=False), "external_keys_to_usernames"),
    "username is null": (keys({"student-001": None}), "external_keys_to_usernames.student-001"),
    "username is a number": (keys({"student-001": 7}), "external_keys_to_usernames.student-001"),
    "username is true": (keys({"student-001": True}), "external_keys_to_usernames.student-001"),
    "username is a list": (keys({"student-001": ["alice"]}), "external_keys_to_usernames.student-001"),
    "username is an object": (keys({"student-001": {"a": "b"}}), "external_keys_to_usernames.student-001"),
    "username is empty": (keys({"student-001": ""}), "external_keys_to_usernames.student-001"),
    "username is too long": (keys({"student-001": LONG_USERNAME}), "external_keys_to_usernames.student-001"),
    "username with NUL": (keys({"student-001": "a\0"}), "external_keys_to_usernames.student-001"),
    "username is NUL": (keys({"student-001": "\0"}), "external_keys_to_usernames.student-001"),
    "username with NUL after newline": (keys({"student-001": "a\n\0"}), "external_keys_to_usernames.student-001"),
    "username with high surrogate": (keys({"student-001": "\ud800"}), "external_keys_to_usernames.student-001"),
    "username with low surrogate": (keys({"student-001": "a\udfffb"}), "external_keys_to_usernames.student-001"),
    "username with surrogates swapped": (
        keys({"student-001": "\udc00\ud800"}),
        "external_keys_to_usernames.student-001",
    ),
    "key is empty": (keys({"": "alice"}), 'external_keys_to_usernames."".[key]'),
    "key is too long": (keys({LONG_KEY: "alice"}), "external_keys_to_usernames." + "k" * 100 + ".[key]"),
    "key with NUL": (keys({"a\0": "alice"}), "external_keys_to_usernames.a\0.[key]"),
    "key with surrogate": (keys({"a\ud800": "alice"}), "external_keys_to_usernames.a\ufffd\ufffd\ufffd.[key]"),
    "second key is at fault": (keys({"a": "alice", "b": None, "c": "carol"}), "external_keys_to_usernames.b"),
    "key is called body": (keys({"body": None}), "external_keys_to_usernames.body"),
    "key is called [key]": (keys({"[key]": None}), "external_keys_to_usernames.[key]"),
    "unknown field": (body(dryrun=True), "dryrun"),
    "unknown field of another case": (body(Relink=True), "Relink"),
    "unknown field is null": (body(comment=None), "comment"),
    "unknown field is empty": (body(**{"": 1}), '""'),
    "field with surrogate": (body(**{"relink\ud800": True}), "body"),
    "field with NUL": (body(**{"relink\0": True}), "relink\0"),
    "curriculum is null": (body(curriculum_uuid=None), "curriculum_uuid"),
    "curriculum is no UUID": (body(curriculum_uuid="c0ffee"), "curriculum_uuid"),
    "curriculum is empty": (body(curriculum_uuid=""), "curriculum_uuid"),
    "curriculum is a number": (body(curriculum_uuid=0), "curriculum_uuid"),
    "curriculum is false": (body(curriculum_uuid=False), "curriculum_uuid"),
    "curriculum is a list": (body(curriculum_uuid=[]), "curriculum_uuid"),
    **{
        f"{option} is {value!r}": (body(**{option: value}), option)
        for option in ("relink", "dry_run", "ignore_case")
        for value in NO_BOOLEANS
    },
    "keys differ only in case": (
        body(external_keys_to_usernames={"a": "alice", "A": "bob"}, ignore_case=True),
        "body",
    ),
}
objects = pytest.mark.parametrize(("request_body", "where"), OBJECTS.values(), ids=OBJECTS.keys())


@objects
def test_body(request_body: dict[str, Any], where: str) -> None:
    """A body with a fault is refused, and the answer says where the fault is."""
    assert refused(call_api(request_body)) == where


@objects
def test_payload(request_body: dict[str, Any], where: str) -> None:
    """A payload with a fault raises `InvalidRequest`, whose message says where the fault is."""
    with pytest.raises(InvalidRequest) as caught:
        lambda_handler(request_body, invocation())
    assert str(caught.value).startswith("The request is malformed. ")
    assert f"{where}: " in str(caught.value)
    str(caught.value).encode()  # Lambda has to hand it on


@pytest.mark.parametrize("payload", [None, [], [body()], "text", json.dumps(body()), 0, 17, 1.5, True, False, ""])
def test_payload_of_another_type(payload: object) -> None:
    """A payload that is no object raises `InvalidRequest`."""
    with pytest.raises(InvalidRequest, match=r"^The request is malformed[.] body: must be a JSON object[.]$"):
        lambda_handler(payload, invocation())


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({"httpMethod": "POST"}, id="half an event"),
        pytest.param({"httpMethod": "POST", "requestContext": {}}, id="event without request id"),
        pytest.param({"httpMethod": "POST", "requestContext": None, "body": "{}"}, id="event without context"),
        pytest.param({"Records": [{"body": "{}"}]}, id="queue event"),
        pytest.param({"body": json.dumps(body())}, id="only a body"),
    ],
)
def test_payload_that_looks_like_another_event(payload: dict[str, Any]) -> None:
    """An event of a kind that nobody sends here is a malformed payload."""
    with pytest.raises(InvalidRequest, match=r"program_uuid: is required[.]"):
        lambda_handler(payload, invocation())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", ["/links", "/docs", "/openapi.json"])
def test_event_without_a_context(path: str) -> None:
    """An event that has no more than method and path is an HTTP request all the same."""
    answer = lambda_handler({"httpMethod": "GET", "path": path}, invocation())
    assert answer["statusCode"] == (405 if path == "/links" else 200)


def test_event_of_a_person() -> None:
    """The malformed event that a person would try is refused with a message that says what and where."""
    with pytest.raises(InvalidRequest) as caught:
        lambda_handler(load_event("direct-link-invalid"), invocation())
    assert str(caught.value) == ("The request is malformed. external_keys_to_usernames.student-001: must be a string.")


@pytest.mark.parametrize("value", [body(), [], 17, True])
def test_body_that_is_no_text(value: object) -> None:
    """An event whose body is anything but a text has none."""
    event = load_event("api-link") | {"body": value}
    answer = lambda_handler(event, invocation())
    refused((answer["statusCode"], json.loads(answer["body"])))
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]


@pytest.mark.parametrize("name", ["path", "body", "query"])
def test_fields_with_names_of_http(name: str) -> None:
    """A field of a payload that is not known is named, also if HTTP has a part of that name."""
    with pytest.raises(InvalidRequest, match=rf" {name}: is not known; the fields are program_uuid"):
        lambda_handler(load_event("direct-link") | {name: "/links"}, invocation())


def test_all_faults() -> None:
    """Several faults are reported at once."""
    assert call_api(body(program_uuid="x", external_keys_to_usernames={"a": None, "b": ""}, dryrun=True)) == (
        400,
        {
            "message": "The request is malformed.",
            "details": [
                {"where": "program_uuid", "what": "must be a UUID"},
                {"where": "external_keys_to_usernames.a", "what": "must be a string"},
                {"where": "external_keys_to_usernames.b", "what": "must not be empty"},
                {
                    "where": "dryrun",
                    "what": "is not known; the fields are program_uuid, external_keys_to_usernames, curriculum_uuid,"
                    " relink, dry_run, ignore_case",
                },
            ],
        },
    )


def test_many_faults() -> None:
    """Of thousands of faults the first ones are reported, so that the answer stays small."""
    _, answer = call_api(keys({f"student-{number}": None for number in range(10_000)}))
    assert len(answer["details"]) == 20
    assert answer["details"][-1]["where"] == "external_keys_to_usernames.student-19"


def test_most_keys() -> None:
    """10,000 keys pass: what stops them here is that there is no database."""
    assert call_api(keys({f"student-{number}": "alice" for number in range(10_000)}))[0] == 503


@pytest.mark.parametrize(
    ("make", "where"),
    [
        pytest.param(
            lambda: keys({f"student-{number}": "alice" for number in range(10_001)}),
            "external_keys_to_usernames",
            id="too many keys",
        ),
        pytest.param(
            lambda: keys({f"{number:05}" + "k" * 250: "u" * 150 for number in range(9_000)}),
            "body",
            id="answer might pass 6 MB",
        ),
        pytest.param(
            lambda: keys({f"{number:05}" + "\x01" * 250: "u" for number in range(2_000)}),
            "body",
            id="answer might pass 6 MB once it is escaped",
        ),
        pytest.param(
            lambda: keys({f"{number:05}" + "\U0001f511" * 250: "u" for number in range(1_800)}),
            "body",
            id="answer might pass 6 MB in UTF-8",
        ),
    ],
)
def test_too_large(make: Callable[[], dict[str, Any]], where: str) -> None:
    """Too many keys, or keys too long for the answer, are refused as too large, both ways in."""
    request_body = make()
    status, answer = call_api(request_body)
    assert refused((status, answer), 413) == where
    assert answer["message"] == "The request is too large."
    if where == "body":
        assert answer["details"][0]["what"] == "the answer might not fit into 6 MB: send the keys in several batches"
    with pytest.raises(InvalidRequest, match=f"^The request is too large. {where}: "):
        lambda_handler(request_body, invocation())


def test_no_bad_input_is_an_error(printed: Callable[[], list[dict[str, Any]]]) -> None:
    """Bad input is the caller's business: it is no error in the log."""
    for request_body, _ in OBJECTS.values():
        call_api(request_body)
    for text in TEXTS.values():
        call_api(text)
    assert printed() == []
