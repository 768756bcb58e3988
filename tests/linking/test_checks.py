"""Checks before a key is linked, and the answers to them."""

import json

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from tests.support import Invoke, Post, call_api, load_event, snapshot

OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"

NO_USER = "No user found with username nobody"
NOT_IN_PROGRAM = (
    "No program enrollment found for program uuid=5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"
    " and external student key=student-999"
)
ALREADY_LINKED = (
    "Program enrollment with external_student_key=student-001 is already linked to target account username=alice"
)
CONFLICT = (
    "Program enrollment with external_student_key=student-001 is already linked to a different account username=bob"
)

# Each would be something else to a careless shell, query, template, terminal, log or JSON writer.
ODD_STRINGS = {
    "apostrophe": "O'Brien",
    "double quotes": 'a "quoted" key',
    "backslashes": r"dir\new\\tab",
    "SQL": "'; DROP TABLE auth_user; --",
    "dollar quotes": "$$ $1 $tag$",
    "placeholder": ":user_id %(key)s {key} ?",
    "array literal": '{1,2,"three",NULL}',
    "null word": "NULL",
    "newline": "two\nlines",
    "carriage return and tab": "a\r\n\tb",
    "forged record": 'x"}\n{"level":"INFO","message":"forged"}',
    "ANSI codes": "\x1b[31mred\x1b[0m",
    "control characters": "\x01\x07\x7f",
    "JSON fragment": '{"a": ["b", null]}',
    "percent": "100%",
    "underscore": "student_001",
    "template": "${jndi:ldap://x} {{7*7}}",
    "HTML": "<script>alert(1)</script>&amp;",
    "emoji": "👩🏽‍🎓",
    "no-break space": "a\u00a0b",
    "zero width": "a\u200bb\ufeff",
    "right to left": "\u202eabc",
    "Arabic": "طالب",
    "Chinese": "学生",
    "decomposed": "e\u0301",
    "line separators": "a\u2028b\u0085c",
    "noncharacter": "\uffff\U0010ffff",
    "spaces around": "  student  ",
    "one space": " ",
    "dot path": "../../etc/passwd",
    "number": "0012",
    "proto": "__proto__",
    "body": "body",
}


@pytest.mark.parametrize(
    ("key", "username", "holder", "message", "code"),
    [
        pytest.param("student-001", "nobody", None, NO_USER, "user-not-found", id="no such account"),
        pytest.param("student-999", "alice", None, NOT_IN_PROGRAM, "not-in-program", id="not in the program"),
        pytest.param("student-001", "alice", "alice", ALREADY_LINKED, "already-linked", id="linked to this account"),
        pytest.param("student-001", "alice", "bob", CONFLICT, "conflict", id="linked to another"),
        # The first check that applies counts.
        pytest.param("student-999", "nobody", None, NO_USER, "user-not-found", id="no account before no enrollment"),
        pytest.param("student-001", "nobody", "bob", NO_USER, "user-not-found", id="no account before conflict"),
        pytest.param(
            "student-999", "alice", "alice", NOT_IN_PROGRAM, "not-in-program", id="no enrollment before taken"
        ),
    ],
)
def test_check(  # noqa: PLR0913, PLR0917 - a row of the table
    lms: Lms, invoke: Invoke, key: str, username: str, holder: str | None, message: str, code: str
) -> None:
    """A key that a check refuses is reported in the error map and leaves no trace."""
    users = {name: lms.user(name) for name in ("alice", "bob")}
    # The course is missing, which none of the checks waits for.
    lms.enrollment("student-001", ["course-v1:edX+Gone+2026"], user_id=users[holder] if holder else None)
    before = snapshot(lms)
    assert invoke({key: username}) == {
        "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
        "linked": 0,
        "errors": {key: message},
        "error_codes": {key: code},
    }
    assert snapshot(lms) == before


def test_linked(lms: Lms, invoke: Invoke) -> None:
    """A waiting key with an account is linked, and the answer holds no error."""
    alice = lms.user("alice")
    lms.enrollment("student-001")
    assert invoke({"student-001": "alice"}) == {
        "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
        "linked": 1,
        "errors": {},
        "error_codes": {},
    }
    assert lms.rows("program_enrollments_programenrollment", "external_user_key, user_id") == [["student-001", alice]]


def test_repeated(lms: Lms, invoke: Invoke) -> None:
    """Sending a batch again answers `already-linked` for each key and changes nothing."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice"})
    before = snapshot(lms)
    answer = invoke({"student-001": "alice"})
    assert (answer["linked"], answer["errors"]) == (0, {"student-001": ALREADY_LINKED})
    assert snapshot(lms) == before


@pytest.mark.parametrize("status", ["enrolled", "pending", "suspended", "canceled", "ended"])
def test_enrollment_status(lms: Lms, invoke: Invoke, status: str) -> None:
    """An enrollment is linked whatever its status, and keeps it."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.run("UPDATE program_enrollments_programenrollment SET status = :status", status=status)
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert lms.rows("program_enrollments_programenrollment", "status") == [[status]]


@pytest.mark.parametrize(
    ("request_keys", "status"),
    [
        pytest.param({"student-001": "alice", "student-002": "bob"}, 200, id="all linked"),
        pytest.param({"student-001": "alice", "student-999": "bob"}, 207, id="some linked"),
        pytest.param({"student-998": "alice", "student-999": "bob"}, 422, id="none linked"),
        pytest.param({}, 200, id="nothing sent"),
    ],
)
def test_status(lms: Lms, post: Post, request_keys: dict[str, str], status: int) -> None:
    """The HTTP status says whether all keys were linked, or some, or none."""
    for key, username in {"student-001": "alice", "student-002": "bob"}.items():
        lms.user(username)
        lms.enrollment(key)
    assert post({"program_uuid": PROGRAM, "external_keys_to_usernames": request_keys})[0] == status


def test_both_ways_in(lms: Lms, invoke: Invoke, post: Post) -> None:
    """The HTTP body and the direct payload are the same object, and so are their answers."""
    lms.user("alice")
    body = {"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-999": "alice", "student-001": "nobody"}}
    assert post(body) == (
        422,
        {
            "program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10",
            "linked": 0,
            "errors": {"student-999": NOT_IN_PROGRAM, "student-001": NO_USER},
            "error_codes": {"student-999": "not-in-program", "student-001": "user-not-found"},
        },
    )
    assert invoke({"student-999": "alice", "student-001": "nobody"}) == post(body)[1]


def test_events(lms: Lms, post: Post, invoke: Invoke) -> None:
    """The events that a person would try are answered."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert post(load_event("api-link")["body"])[0] == 207
    assert invoke({"student-001": "alice"})["error_codes"] == {"student-001": "already-linked"}
    assert post(load_event("api-link-invalid")["body"])[0] == 400


@pytest.mark.usefixtures("no_database")
def test_empty_map_reads_nothing() -> None:
    """An empty map is answered without a database."""
    assert call_api({"program_uuid": PROGRAM, "external_keys_to_usernames": {}}) == (
        200,
        {"program_uuid": "5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10", "linked": 0, "errors": {}, "error_codes": {}},
    )


@pytest.mark.usefixtures("no_database")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_wrong_method(method: str) -> None:
    """A wrong method answers 405 and names the right one."""
    answer = lambda_handler(load_event("api-link") | {"httpMethod": method}, invocation())
    assert answer["statusCode"] == 405
    assert answer["multiValueHeaders"]["Allow"] == ["POST"]
    assert json.loads(answer["body"])["message"] == "/links takes POST only."


@pytest.mark.usefixtures("no_database")
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/link", "/links/student-001", "/LINKS", "/openapi.yaml"])
def test_unknown_path(method: str, path: str) -> None:
    """A path that leads nowhere answers 404, whatever the method."""
    status, answer = call_api(None, httpMethod=method, path=path)
    assert (status, answer["message"]) == (404, "There is nothing here: send POST /links, or GET /docs.")


def test_order_of_errors(lms: Lms, invoke: Invoke) -> None:
    """Both error maps are in request order, whatever the keys failed for and whatever was linked between them."""
    for username in ("alice", "bob"):
        lms.user(username)
    for key, courses in {"z": [], "m": ["course-v1:edX+Gone+2026"], "a": [], "b": []}.items():
        lms.enrollment(key, courses)
    answer = invoke({"b": "alice", "z": "nobody", "a": "alice", "none": "bob", "m": "bob", "0": "nobody"})
    assert list(answer["error_codes"].items()) == [
        ("z", "user-not-found"),
        ("a", "integrity-error"),
        ("none", "not-in-program"),
        ("m", "course-not-found"),
        ("0", "user-not-found"),
    ]
    assert list(answer["errors"]) == ["z", "a", "none", "m", "0"]


@pytest.mark.parametrize("odd", ODD_STRINGS.values(), ids=ODD_STRINGS.keys())
def test_odd_strings(lms: Lms, invoke: Invoke, post: Post, odd: str) -> None:
    """Keys and usernames are used exactly as sent, in the database and in the answer."""
    lms.enrollment("bystander")
    lms.enrollment(odd)
    assert invoke({odd: odd})["errors"] == {odd: f"No user found with username {odd}"}
    odd_id = lms.user(odd)
    assert invoke({odd: odd})["linked"] == 1
    assert lms.run("SELECT external_user_key FROM program_enrollments_programenrollment WHERE user_id > 0") == [[odd]]
    assert lms.rows("program_enrollments_programenrollment", "user_id")[0] == [odd_id]
    assert post({"program_uuid": PROGRAM, "external_keys_to_usernames": {odd: odd}})[1]["errors"] == {
        odd: f"Program enrollment with external_student_key={odd} is already linked to target account username={odd}"
    }


@pytest.mark.parametrize(
    "sent",
    [
        "STUDENT-É",
        "student-e\u0301",
        "student-é ",
        " student-é",
        "student-é\u00a0",
        "student-é\u200b",
        "student-_",
        "%",
        "student-.",
    ],
)
def test_similar_keys(lms: Lms, invoke: Invoke, sent: str) -> None:
    """Keys and usernames that are merely similar are not the same."""
    lms.user("student-é")
    lms.enrollment("student-é")
    assert invoke({sent: "student-é"})["error_codes"] == {sent: "not-in-program"}
    assert invoke({"student-é": sent})["error_codes"] == {"student-é": "user-not-found"}


def test_longest_strings(lms: Lms, invoke: Invoke) -> None:
    """Keys of 255 and usernames of 150 characters are taken, however many bytes they are."""
    username, key = "\U0001f393" * 150, "\U0001f511" * 255
    lms.user(username)
    lms.enrollment(key)
    assert invoke({key: username})["linked"] == 1


def test_two_programs(lms: Lms, invoke: Invoke) -> None:
    """The same key in another program is another student."""
    alice, bob = lms.user("alice"), lms.user("bob")
    lms.enrollment("student-001", program=OTHER_PROGRAM)
    lms.enrollment("student-001")
    assert invoke({"student-001": "alice"})["linked"] == 1
    assert invoke({"student-001": "bob"}, program_uuid=OTHER_PROGRAM)["linked"] == 1
    assert lms.rows("program_enrollments_programenrollment", "program_uuid::text, user_id") == [
        [PROGRAM, alice],
        [OTHER_PROGRAM, bob],
    ]


def test_other_program(lms: Lms, invoke: Invoke) -> None:
    """A key that only another program has is not found, and the message names the program that was asked for."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert invoke({"student-001": "alice"}, program_uuid=OTHER_PROGRAM.upper())["errors"] == {
        "student-001": "No program enrollment found for program uuid=8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"
        " and external student key=student-001"
    }


def test_enrollment_without_key(lms: Lms, invoke: Invoke) -> None:
    """Enrollments without an external key, which Open edX has too, are nobody's."""
    alice = lms.user("alice")
    lms.enrollment("student-001", user_id=alice)
    lms.run("UPDATE program_enrollments_programenrollment SET external_user_key = NULL")
    assert invoke({"None": "alice", "null": "alice"})["error_codes"] == {
        "None": "not-in-program",
        "null": "not-in-program",
    }
