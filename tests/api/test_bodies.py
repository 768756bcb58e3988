"""Section 1: bodies that are no JSON object, that are encoded, of another type or too large."""

import base64
import json

import pytest

from local.lms import PROGRAM
from tests.api.support import body, keys, refused
from tests.support import call_api

pytestmark = pytest.mark.usefixtures("no_database")

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
    "only a long number": "9" * 5000,
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
    """What is wrong with a text is said in words of its own."""
    assert call_api(text) == (400, {"message": message, "details": [{"where": where, "what": what}]})


@pytest.mark.parametrize("path", ["/links", "/links/", "/links//"])
def test_list_of_requests(path: str) -> None:
    """A list is no request, not even a list of one."""
    refused(call_api([body()], path=path))


@pytest.mark.parametrize(("text", "where"), REPEATED.values(), ids=REPEATED.keys())
def test_repeated_key(text: str, where: str) -> None:
    """A key that occurs twice in the JSON text, at any depth, is refused and named."""
    status, answer = call_api(text)
    assert refused((status, answer)) == where
    assert (answer["message"], answer["details"][0]["what"]) == ("The body names a key twice.", "occurs twice")


EMPTY: dict[str, str] = {}
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
        pytest.param("@@@@", "is not the base64 that it is said to be", "body", id="alphabet"),
        pytest.param(f"@{encoded(b'{}')}", "is not the base64 that it is said to be", "body", id="alphabet, in part"),
        pytest.param(encoded(b'{"program_uuid": "\xff"}'), "is not UTF-8", "byte 19", id="UTF-8"),
    ],
)
def test_fault_of_base64(text: str, what: str, where: str) -> None:
    """What is wrong with base64, or with the bytes in it, is said in words of our own."""
    assert call_api(text, isBase64Encoded=True) == (
        400,
        {"message": f"The body {what}.", "details": [{"where": where, "what": what}]},
    )


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
