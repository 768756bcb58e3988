"""Logs and metrics, as they are printed."""

import json
from typing import Any

import pytest

from functions.link.app import lambda_handler
from local.invocation import invocation
from local.lms import PROGRAM, Lms
from tests.api.support import logged, measured
from tests.support import Invoke, Post, Printed, call_api, load_event

# Nothing but the error map may have these.
KEY, USERNAME = "the-secret-key", "the-secret-username"
MARK = "the-secret"


def test_error_map(lms: Lms, post: Post, printed: Printed) -> None:
    """One WARNING holds the error map, with the program, the counts and API Gateway's request id."""
    lms.user("alice")
    lms.enrollment("student-001")
    post(load_event("api-link")["body"])
    [record] = logged(printed())
    assert record["level"] == "WARNING"
    assert record["message"] == "Keys not linked"
    assert record["errors"] == {"student-002": "No user found with username bob"}
    assert record["program_uuid"] == PROGRAM
    assert (record["requested"], record["linked"], record["failed"]) == (2, 1, 1)
    assert (record["record"], record["records"]) == (1, 1)
    assert record["dry_run"] is False
    assert record["correlation_id"] == "0b1c9f0e-api-gateway-request"
    assert record["service"] == "program-linking"


def test_direct_call(lms: Lms, printed: Printed) -> None:
    """A direct call is identified by Lambda's request id, on a warm environment too."""
    for context in (invocation(), invocation()):
        lambda_handler(load_event("direct-link"), context)
        [record] = logged(printed())
        assert record["correlation_id"] == context.aws_request_id
        assert record["function_request_id"] == context.aws_request_id


def test_all_linked(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """A batch without failures is logged in one INFO, with an empty map."""
    lms.user("alice")
    lms.enrollment("student-001", [lms.course()])
    invoke({"student-001": "alice"})
    [record] = logged(printed())
    assert (record["level"], record["message"], record["errors"]) == ("INFO", "Every key linked", {})
    assert (record["requested"], record["linked"], record["failed"]) == (1, 1, 0)


def size(record: dict[str, Any]) -> int:
    """How many bytes a record takes in the log."""
    return len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())


def test_ten_thousand_failing_keys(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """10,000 failing keys make several numbered records, each under 200 KB, with every key in exactly one."""
    answer = invoke({f"student-{number:05}": f"user-{number:05}" for number in range(10_000)})
    records = logged(printed())
    assert len(records) > 1
    assert [record["record"] for record in records] == list(range(1, len(records) + 1))
    assert {record["records"] for record in records} == {len(records)}
    assert {(record["requested"], record["linked"], record["failed"]) for record in records} == {(10_000, 0, 10_000)}
    assert {record["level"] for record in records} == {"WARNING"}
    assert max(map(size, records)) < 200_000
    keys = [key for record in records for key in record["errors"]]
    assert keys == [f"student-{number:05}" for number in range(10_000)]
    errors = {key: message for record in records for key, message in record["errors"].items()}
    assert errors == answer["errors"]
    assert errors["student-00042"] == "No user found with username user-00042"


@pytest.mark.parametrize(
    ("filling", "number_of_keys"),
    [
        pytest.param("\U0001f511" * 240, 1_000, id="four bytes a character"),
        pytest.param('"\\' * 120, 1_000, id="quotes and backslashes"),
        pytest.param("\x01" * 240, 1_000, id="control characters"),
        pytest.param("", 10_000, id="short keys"),
    ],
)
def test_large_records(  # noqa: PLR0913, PLR0917 - a row of the table
    lms: Lms, invoke: Invoke, capsys: pytest.CaptureFixture[str], printed: Printed, filling: str, number_of_keys: int
) -> None:
    """A record's size is what is printed, however keys and messages are escaped."""
    lms.user("alice")
    invoke({f"{filling}{number}": "alice" for number in range(number_of_keys)})
    lines = [line for line in capsys.readouterr().out.splitlines() if "_aws" not in line]
    assert max(len(line.encode()) for line in lines) < 200_000
    keys = [key for line in lines for key in json.loads(line)["errors"]]
    assert keys == [f"{filling}{number}" for number in range(number_of_keys)]


def test_many_rolled_back(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """The details of many rolled-back keys are numbered records, too."""
    for number in range(40):
        lms.user(f"user-{number}")
        lms.enrollment(f"student-{number}")
    lms.run("""
        CREATE FUNCTION refuse_at_length() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused' USING DETAIL = repeat('d', 20000);
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON program_enrollments_programenrollment
        FOR EACH ROW EXECUTE FUNCTION refuse_at_length()
    """)
    assert invoke({f"student-{number}": f"user-{number}" for number in range(40)})["linked"] == 0
    records = [record for record in logged(printed()) if record["message"] == "Keys rolled back"]
    assert [record["record"] for record in records] == [1, 2, 3, 4, 5]
    assert max(map(size, records)) < 200_000
    assert sum(len(record["details"]) for record in records) == 40


def test_rolled_back_key(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Each rolled-back key logs SQLSTATE, constraint and DETAIL; keys that merely failed a check do not."""
    alice, bob = lms.user("alice"), lms.user("bob")
    for number, holder in enumerate([alice, None, bob, None], start=1):
        lms.enrollment(f"student-{number:03}", user_id=holder)
    invoke({"student-002": "alice", "student-004": "bob", "student-999": "bob"})
    errors, rolled_back = logged(printed())
    assert list(errors["errors"]) == ["student-002", "student-004", "student-999"]
    assert (rolled_back["level"], rolled_back["message"]) == ("WARNING", "Keys rolled back")
    assert rolled_back["program_uuid"] == PROGRAM
    assert rolled_back["details"] == [
        {
            "sqlstate": "23505",
            "constraint": "program_enrollments_prog_user_id_program_uuid_cur_ecf769fd_uniq",
            "detail": f"Key (user_id, program_uuid, curriculum_uuid)=({user_id}, {PROGRAM},"
            " c0ffee00-0000-4000-8000-000000000001) already exists.",
        }
        for user_id in (alice, bob)
    ]


def test_missing_course_is_not_rolled_back(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """A missing course is the key's own failure: there is no SQLSTATE to report."""
    lms.user("alice")
    lms.enrollment("student-001", ["course-v1:edX+Gone+2026"])
    invoke({"student-001": "alice"})
    assert [record["message"] for record in logged(printed())] == ["Keys not linked"]


@pytest.mark.usefixtures("no_database")
def test_nothing_sent(printed: Printed) -> None:
    """An empty map is logged and measured as a batch of nothing."""
    call_api({"program_uuid": PROGRAM, "external_keys_to_usernames": {}})
    records = printed()
    assert [(record["level"], record["requested"]) for record in logged(records)] == [("INFO", 0)]
    assert [(record["KeysRequested"], record["KeysLinked"]) for record in measured(records)] == [([0.0], [0.0])]


@pytest.mark.usefixtures("no_database")
def test_database_out_of_reach(printed: Printed) -> None:
    """A batch that could not be done is an ERROR with the reason, and counts nothing."""
    call_api({"program_uuid": PROGRAM, "external_keys_to_usernames": {KEY: USERNAME}})
    [record] = printed()
    assert (record["level"], record["message"]) == ("ERROR", "Linking unavailable")
    assert record["reason"].startswith("The database at 127.0.0.1:1 cannot be reached: ")
    assert record["correlation_id"] == "0b1c9f0e-api-gateway-request"
