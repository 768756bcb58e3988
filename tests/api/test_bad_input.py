"""Requests: what is refused, with a message that says what is wrong and where, before the database is reached."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.link.app import lambda_handler
from lambda_runtime.refusals import InvalidRequest
from local.invocation import invocation
from local.lms import PROGRAM
from tests.support import call_api, load_event

pytestmark = pytest.mark.usefixtures("no_database")

EMPTY: dict[str, str] = {}
LONG_KEY, LONG_USERNAME = "k" * 256, "u" * 151


def body(**changes: object) -> dict[str, Any]:
    """A request with changed or additional fields; what is changed to ... is left out."""
    fields = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}} | changes
    return {name: value for name, value in fields.items() if value is not ...}


def keys(keys_to_usernames: object) -> dict[str, Any]:
    """A request for other keys and usernames."""
    return body(external_keys_to_usernames=keys_to_usernames)


def refused(answer: tuple[int, dict[str, Any]], status: int = 400) -> str:
    """Hold that the request was refused with a message and details; return where the fault is."""
    code, problem = answer
    assert (code, sorted(problem)) == (status, ["details", "message"])
    assert problem["message"].strip()
    assert problem["details"]
    assert all(detail["where"].strip() and detail["what"].strip() for detail in problem["details"])
    return str(problem["details"][0]["where"])


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
    "keys differ in case alone": (
        body(external_keys_to_usernames={"a": "alice", "A": "bob"}, ignore_case=True),
        "body",
    ),
}
objects = pytest.mark.parametrize(("request_body", "where"), OBJECTS.values(), ids=OBJECTS.keys())

TEXTS: dict[str, str | None] = {
    "no body": None,
    "empty": "",
    "spaces": "  \n",
    "null": "null",
    "true": "true",
    "array": "[]",
    "array of a request": json.dumps([body()]),
    "string": '"text"',
    "string of a request": json.dumps(json.dumps(body())),
    "number": "17",
    "not JSON": "program_uuid=1",
    "single quotes": str(body()),
    "cut short": json.dumps(body())[:-1],
    "more behind": json.dumps(body()) + "x",
    "two requests": json.dumps(body()) * 2,
    "trailing comma": '{"program_uuid": "",}',
    "comment": "{} // nothing",
    "byte order mark": "\ufeff" + json.dumps(body()),
    "raw newline in string": '{"program_uuid": "\n"}',
    "NaN": "NaN",
    "NaN inside": '{"program_uuid": NaN}',
    "Infinity": '{"relink": Infinity}',
    "minus Infinity": '{"relink": -Infinity}',
    "number that is infinite": '{"relink": 1e999}',
    "long number": '{"relink": ' + "9" * 5000 + "}",
    "long number alone": "9" * 5000,
    "long negative number": "[-" + "9" * 5000 + "]",
    "deep arrays": "[" * 100_000,
    "deep arrays, closed": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep inside": json.dumps(body(relink=...))[:-1] + ', "relink": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "raw surrogate": '{"program_uuid": "\ud800"}',
    "raw surrogate outside of strings": "{\ud800}",
    "NUL outside of strings": "{\0}",
}

REPEATED: dict[str, tuple[str, str]] = {
    "a field": (f'{{"program_uuid": "{PROGRAM}", "program_uuid": "{PROGRAM}"}}', "program_uuid"),
    "an option": (f'{{"program_uuid": "{PROGRAM}", "relink": true, "relink": false}}', "relink"),
    "a key": ('{"external_keys_to_usernames": {"a": "alice", "b": "bob", "a": "carol"}}', "a"),
    "a key with the same username": ('{"external_keys_to_usernames": {"a": "alice", "a": "alice"}}', "a"),
    "a key spelt in two ways": ('{"external_keys_to_usernames": {"a": "alice", "\\u0061": "bob"}}', "a"),
    "the keys": ('{"external_keys_to_usernames": {}, "external_keys_to_usernames": {}}', "external_keys_to_usernames"),
    "a key further down": ('{"external_keys_to_usernames": {"a": {"b": 1, "b": 2}}}', "b"),
    "a key in an array": ('[[{"b": 1, "b": 2}]]', "b"),
    "the empty key": ('{"external_keys_to_usernames": {"": "alice", "": "bob"}}', '""'),
    "a long key": ('{"' + "k" * 300 + '": 1, "' + "k" * 300 + '": 2}', "k" * 100),
    "a key with surrogate": ('{"\\ud800": 1, "\\ud800": 2}', "\\ud800"),
}


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
        pytest.param({"body": json.dumps(body())}, id="body alone"),
    ],
)
def test_payload_that_looks_like_another_event(payload: dict[str, Any]) -> None:
    """An event of a kind that nobody sends here is a malformed payload."""
    with pytest.raises(InvalidRequest, match=r"program_uuid: is required[.]"):
        lambda_handler(payload, invocation())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", ["/links", "/docs", "/openapi.json"])
def test_event_without_a_context(path: str) -> None:
    """An event that tells no more than method and path is an HTTP request all the same."""
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


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text(text: str | None) -> None:
    """A body that is not a JSON object is refused."""
    refused(call_api(text))


@pytest.mark.parametrize(
    ("text", "message", "where", "what"),
    [
        ('{"relink": NaN}', "The body is not JSON.", "NaN", "is no JSON value"),
        ('{"relink":\n "\t"}', "The body is not JSON.", "line 2, column 3", "stops being JSON here"),
        ('{"relink": ' + "9" * 5000 + "}", "The body is not a request.", "body", "holds a number that is too long"),
        ("[" * 100_000, "The body is not a request.", "body", "is nested too deeply"),
        ("[]", "The body is not a request.", "body", "is no JSON object"),
    ],
    ids=["no value of JSON's", "control character", "long number", "deep", "array"],
)
def test_fault_of_text(text: str, message: str, where: str, what: str) -> None:
    """What is wrong with a text is told in words of its own."""
    assert call_api(text) == (400, {"message": message, "details": [{"where": where, "what": what}]})


@pytest.mark.parametrize(("text", "where"), REPEATED.values(), ids=REPEATED.keys())
def test_repeated_key(text: str, where: str) -> None:
    """A key that occurs twice in the JSON text, at any depth, is refused and named."""
    status, answer = call_api(text)
    assert refused((status, answer)) == where
    assert (answer["message"], answer["details"][0]["what"]) == ("The body names a key twice.", "occurs twice")


def test_all_faults() -> None:
    """Several faults are told at once."""
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
    """Of thousands of faults the first ones are told, so that the answer stays small."""
    _, answer = call_api(keys({f"student-{number}": None for number in range(10_000)}))
    assert len(answer["details"]) == 20
    assert answer["details"][-1]["where"] == "external_keys_to_usernames.student-19"


JSON_BODY = json.dumps(body(external_keys_to_usernames=EMPTY))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        " application/json ;charset=UTF-8",
        "",
        None,
    ],
)
@pytest.mark.parametrize("header", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_content_type(header: str, content_type: str | None) -> None:
    """A body is JSON where its content type says so or says nothing, however it is written."""
    assert call_api(JSON_BODY, headers={header: content_type})[0] == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/jsonp",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "multipart/form-data",
        "multipart/form-data; boundary=frontier",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=frontier",
        "nonsense",
        ";",
        "application/json, text/plain",
        "*/*",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        JSON_BODY,
        "program_uuid=1&external_keys_to_usernames=2",
        '--frontier\r\nContent-Disposition: form-data; name="program_uuid"\r\n\r\n1\r\n--frontier--\r\n',
        None,
    ],
    ids=["JSON", "form", "multipart", "nothing"],
)
def test_wrong_content_type(content_type: str, text: str | None) -> None:
    """Any other content type is refused, whatever the body."""
    assert call_api(text, headers={"Content-Type": content_type}) == (
        400,
        {
            "message": "The body must be JSON: send Content-Type application/json.",
            "details": [{"where": "Content-Type", "what": "is not application/json"}],
        },
    )


@pytest.mark.parametrize("headers", [None, {}, {"Accept": "*/*"}])
def test_without_headers(headers: dict[str, str] | None) -> None:
    """An event without headers is answered like any other."""
    assert call_api(JSON_BODY, headers=headers, multiValueHeaders=None)[0] == 200
    refused(call_api("{", headers=headers, multiValueHeaders=None))


def encoded(data: bytes) -> str:
    """Base64, as API Gateway sends what it takes for binary."""
    return base64.b64encode(data).decode()


def test_base64() -> None:
    """A body in base64 is read like any other, unicode included."""
    assert call_api(encoded(JSON_BODY.encode()), isBase64Encoded=True)[0] == 200
    umlaut = json.dumps(keys({"ä": None}), ensure_ascii=False)
    assert refused(call_api(encoded(umlaut.encode()), isBase64Encoded=True)) == "external_keys_to_usernames.ä"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(encoded(JSON_BODY.encode("utf-16")), id="UTF-16"),
        pytest.param(encoded(b'{"program_uuid": "\xff"}'), id="not UTF-8"),
        pytest.param(encoded('{"program_uuid": "é"}'.encode("latin-1")), id="Latin-1"),
        pytest.param(encoded(b"\xed\xa0\x80"), id="surrogate in UTF-8"),
        pytest.param(encoded(b"\x1f\x8b\x08\x00"), id="gzip"),
        pytest.param(encoded(b""), id="empty"),
        pytest.param(encoded(b"{"), id="not JSON"),
        pytest.param("e30", id="wrong padding"),
        pytest.param("e", id="one character"),
        pytest.param("!!!!", id="not base64"),
        pytest.param("ä", id="not ASCII"),
        pytest.param(JSON_BODY, id="plain text"),
        pytest.param(None, id="nothing"),
    ],
)
def test_bad_base64(text: str | None) -> None:
    """A body that is said to be base64 and holds no JSON text is refused."""
    refused(call_api(text, isBase64Encoded=True))


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        pytest.param("e", "is not the base64 that it is said to be", "body", id="base64"),
        pytest.param("ä", "is not the base64 that it is said to be", "body", id="ASCII"),
        pytest.param(encoded(b'{"program_uuid": "\xff"}'), "is not UTF-8", "byte 19", id="UTF-8"),
    ],
)
def test_fault_of_base64(text: str, what: str, where: str) -> None:
    """What is wrong with base64, or with the bytes in it, is said in words of our own."""
    assert call_api(text, isBase64Encoded=True) == (
        400,
        {"message": f"The body {what}.", "details": [{"where": where, "what": what}]},
    )


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


def test_largest_body() -> None:
    """A body of exactly 6 MB passes."""
    assert call_api(JSON_BODY.ljust(6_000_000))[0] == 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(JSON_BODY.ljust(6_000_001), id="JSON"),
        pytest.param("x" * 6_000_001, id="no JSON"),
    ],
)
def test_large_body(text: str) -> None:
    """A body larger than Lambda takes is refused before it is read."""
    status, answer = call_api(text)
    assert refused((status, answer), 413) == "body"
    assert answer["details"][0]["what"] == "is larger than 6 MB: send the keys in several batches"


def test_no_bad_input_is_an_error(printed: Callable[[], list[dict[str, Any]]]) -> None:
    """Bad input is the caller's business: it is no error in the log."""
    for request_body, _ in OBJECTS.values():
        call_api(request_body)
    for text in TEXTS.values():
        call_api(text)
    assert printed() == []
