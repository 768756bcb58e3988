"""Logs and metrics, as they are printed."""

import json
import time
from typing import Any

import pytest

from functions.link.app import LinkingFailed, lambda_handler
from lambda_runtime.connection import forget_connection
from lambda_runtime.refusals import InvalidRequest
from link_function import service
from local.invocation import invocation
from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.support import Invoke, Post, Printed, call_api, load_event

# Nothing but the error map may bear these.
KEY, USERNAME = "the-secret-key", "the-secret-username"
MARK = "the-secret"


def logged(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log records among what was printed."""
    return [record for record in records if "_aws" not in record]


def measured(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics among what was printed, without their time."""
    metrics = [record for record in records if "_aws" in record]
    for record in metrics:
        assert record["_aws"].pop("Timestamp") > 1_700_000_000_000
    return metrics


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
    """A direct call is told by Lambda's request id, on a warm environment too."""
    for context in (invocation(), invocation()):
        lambda_handler(load_event("direct-link"), context)
        [record] = logged(printed())
        assert record["correlation_id"] == context.aws_request_id
        assert record["function_request_id"] == context.aws_request_id


def test_all_linked(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """A batch without failures is told in one INFO, with an empty map."""
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
    """A missing course is the key's own failure: there is no SQLSTATE to tell."""
    lms.user("alice")
    lms.enrollment("student-001", ["course-v1:edX+Gone+2026"])
    invoke({"student-001": "alice"})
    assert [record["message"] for record in logged(printed())] == ["Keys not linked"]


def test_metrics(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """The metrics of a batch are printed in CloudWatch's embedded format."""
    for username in ("alice", "bob"):
        lms.user(username)
    lms.enrollment("student-001")
    lms.enrollment("student-002", ["course-v1:edX+Gone+2026"])
    started = time.monotonic()
    invoke({"student-001": "alice", "student-002": "bob", "student-003": "nobody", "student-004": "nobody"})
    milliseconds = (time.monotonic() - started) * 1000
    batch, *failed = measured(printed())
    [duration] = batch.pop("BatchDuration")
    assert milliseconds / 100 < duration < milliseconds
    assert batch == {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "ProgramLinking",
                    "Dimensions": [["service"]],
                    "Metrics": [
                        {"Name": "KeysRequested", "Unit": "Count"},
                        {"Name": "KeysLinked", "Unit": "Count"},
                        {"Name": "KeysAlreadyLinked", "Unit": "Count"},
                        {"Name": "BatchDuration", "Unit": "Milliseconds"},
                    ],
                }
            ]
        },
        "service": "program-linking",
        "KeysRequested": [4.0],
        "KeysLinked": [1.0],
        "KeysAlreadyLinked": [0.0],
    }
    assert sorted(failed, key=lambda record: str(record["error_code"])) == [
        {
            "_aws": {
                "CloudWatchMetrics": [
                    {
                        "Namespace": "ProgramLinking",
                        "Dimensions": [["service", "error_code"]],
                        "Metrics": [{"Name": "KeysFailed", "Unit": "Count"}],
                    }
                ]
            },
            "service": "program-linking",
            "error_code": code,
            "KeysFailed": [count],
        }
        for code, count in [("course-not-found", 1.0), ("user-not-found", 2.0)]
    ]


def test_linked_before(lms: Lms, post: Post, printed: Printed) -> None:
    """A key that was linked to its account before is done: status 200, no WARNING, a metric of its own."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": {"student-001": "alice"}})
    assert (status, answer["linked"], answer["error_codes"]) == (200, 0, {"student-001": "already-linked"})
    records = printed()
    [record] = logged(records)
    assert (record["level"], record["message"], record["errors"]) == ("INFO", "Every key linked", answer["errors"])
    assert (record["linked"], record["already_linked"], record["failed"]) == (0, 1, 0)
    [batch] = measured(records)
    assert (batch["KeysRequested"], batch["KeysLinked"], batch["KeysAlreadyLinked"]) == ([1.0], [0.0], [1.0])


def test_linked_before_beside_others(lms: Lms, post: Post, printed: Printed) -> None:
    """A key that was linked before counts as linked beside one that fails."""
    lms.enrollment("student-001", user_id=lms.user("alice"))
    keys = {"student-001": "alice", "student-002": "bob"}
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": keys})
    assert (status, list(answer["errors"])) == (207, ["student-001", "student-002"])
    records = printed()
    [record] = logged(records)
    assert (record["level"], record["already_linked"], record["failed"]) == ("WARNING", 1, 1)
    _, failed = measured(records)
    assert (failed["error_code"], failed["KeysFailed"]) == ("user-not-found", [1.0])


def test_metrics_of_the_next_batch(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Nothing of one batch's metrics is left for the next one on a warm environment."""
    lms.user("alice")
    lms.enrollment("student-001")
    invoke({"student-001": "nobody"}, dry_run=True)
    printed()
    invoke({"student-001": "alice"})
    [batch] = measured(printed())
    assert (batch["KeysRequested"], batch["KeysLinked"]) == ([1.0], [1.0])
    assert batch["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


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


def assert_discreet(records: list[dict[str, Any]]) -> None:
    """Hold that nothing but the error map bears keys or usernames."""
    for record in records:
        told = json.dumps({name: value for name, value in record.items() if name != "errors"}, ensure_ascii=False)
        assert MARK not in told


def test_discretion(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Whatever becomes of a batch, only the error map bears keys and usernames."""
    users = {username: lms.user(username) for username in (USERNAME, f"{USERNAME}-2", f"{USERNAME}-3")}
    lms.course()
    lms.course_enrollment(users[USERNAME], DEMO_COURSE, "verified")
    lms.role_assignment(lms.enrollment(KEY, [DEMO_COURSE]), DEMO_COURSE)
    lms.run("ALTER TABLE student_courseaccessrole ADD CONSTRAINT no_staff CHECK (role <> 'staff')")
    lms.enrollment(f"{KEY}-2", user_id=users[f"{USERNAME}-2"])
    lms.enrollment(f"{KEY}-3", ["course-v1:edX+Gone+2026"])
    lms.enrollment(f"{KEY}-4")
    invoke(
        {
            KEY: USERNAME,
            f"{KEY}-2": USERNAME,
            f"{KEY}-3": f"{USERNAME}-3",
            f"{KEY}-4": f"{USERNAME}-2",
            f"{KEY}-5": f"{USERNAME}-3",
            f"{KEY}-6": f"{USERNAME}-4",
        }
    )
    records = printed()
    assert [record["message"] for record in logged(records)] == [
        "Keys not linked",
        "Keys rolled back",
        "Course enrollments kept in their mode",
        "Course roles not granted",
    ]
    assert len(records[0]["errors"]) == 5
    assert_discreet(records)


@pytest.mark.usefixtures("no_database")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'{{"{KEY}": "{USERNAME}"}}', id="unknown field"),
        pytest.param(f'{{"{KEY}": "{USERNAME}", "{KEY}": 1}}', id="repeated key"),
        pytest.param(f'{{"{KEY}": "{USERNAME}"', id="cut short"),
        pytest.param(f"{KEY}={USERNAME}", id="not JSON"),
        pytest.param(
            json.dumps({"program_uuid": USERNAME, "external_keys_to_usernames": {KEY: None, USERNAME: KEY * 30}}),
            id="bad values",
        ),
        pytest.param(
            json.dumps({"program_uuid": PROGRAM, "external_keys_to_usernames": {KEY: USERNAME}}), id="no database"
        ),
    ],
)
def test_discretion_on_refusal(printed: Printed, body: str) -> None:
    """What is refused is not logged."""
    call_api(body)
    call_api(body, isBase64Encoded=True)
    call_api(body, headers={"Content-Type": f"text/{KEY}"})
    with pytest.raises(InvalidRequest):
        lambda_handler({"body": body, KEY: USERNAME}, invocation())
    assert_discreet(printed())


def test_discretion_of_unexpected_errors(
    lms: Lms, post: Post, invoke: Invoke, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw tells its kind and its place, but not what it says: that may be anything."""

    def fail(*_: object, **__: object) -> None:
        raise KeyError(KEY, USERNAME)

    monkeypatch.setattr(service, "link_program_enrollments", fail)
    status, answer = post({"program_uuid": PROGRAM, "external_keys_to_usernames": {KEY: USERNAME}})
    assert (status, answer["message"]) == (500, "The service failed; its log says why. Repeating the batch is safe.")
    with pytest.raises(LinkingFailed, match=r"^The service failed; its log says why\. Repeating the batch is safe\.$"):
        invoke({KEY: USERNAME})
    records = printed()
    for record in records:
        assert (record["level"], record["message"], record["error"]) == ("ERROR", "Linking failed", "KeyError")
        assert "_link_batch" in record["at"]
    assert len(records) == 2
    assert_discreet(records)


def test_discretion_of_unexpected_database_errors(lms: Lms, post: Post, printed: Printed) -> None:
    """An error that is no key's and of a class that linking does not know tells its SQLSTATE, but not what it says."""
    lms.user(USERNAME)
    lms.run(f"""
        CREATE FUNCTION refuse() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{KEY} {USERNAME}' USING ERRCODE = 'ABC12';
        END $$;
        ALTER TABLE auth_user RENAME TO account;
        CREATE VIEW auth_user AS SELECT * FROM account WHERE refuse();
        GRANT SELECT ON auth_user TO PUBLIC
    """)
    assert post({"program_uuid": PROGRAM, "external_keys_to_usernames": {KEY: USERNAME}})[0] == 500
    [record] = printed()
    assert (record["level"], record["message"], record["sqlstate"]) == ("ERROR", "Linking failed", "ABC12")
    assert_discreet([record])


def test_database_not_ready(lms: Lms, post: Post, printed: Printed) -> None:
    """A database that is not fit for linking is an ERROR that says what to do."""
    lms.run("DROP TABLE student_courseenrollment_history")
    forget_connection()
    post({"program_uuid": PROGRAM, "external_keys_to_usernames": {KEY: USERNAME}})
    [record] = printed()
    assert (record["level"], record["message"]) == ("ERROR", "Database not ready")
    assert record["reason"].startswith("The database lacks student_courseenrollment_history. Run `python -m")
    assert_discreet([record])
