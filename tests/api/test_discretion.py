"""Section 5: nothing but the error map has keys or usernames, whatever becomes of a batch."""

import json
from typing import Any

import pytest

from functions.link.app import LinkingFailed, lambda_handler
from lambda_runtime.connection import forget_connection
from lambda_runtime.refusals import InvalidRequest
from link_function import service
from local.invocation import invocation
from local.lms import DEMO_COURSE, PROGRAM, Lms
from tests.api.support import logged
from tests.support import Invoke, Post, Printed, call_api

# Nothing but the error map may have these.
KEY, USERNAME = "the-secret-key", "the-secret-username"
MARK = "the-secret"


def assert_discreet(records: list[dict[str, Any]]) -> None:
    """Assert that nothing but the error map has keys or usernames."""
    for record in records:
        rest = json.dumps({name: value for name, value in record.items() if name != "errors"}, ensure_ascii=False)
        assert MARK not in rest


def test_discretion(lms: Lms, invoke: Invoke, printed: Printed) -> None:
    """Whatever becomes of a batch, only the error map has keys and usernames."""
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
    """An error that nobody foresaw shows its kind and its place, but not what it says: that may be anything."""

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
    """An error that is no key's and of a class that linking does not know shows its SQLSTATE, but not what it says."""
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
