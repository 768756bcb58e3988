"""The option `ignore_case`: external keys match whatever their case."""

import pytest

from local.lms import PROGRAM, Lms
from tests.support import Invoke, Post, snapshot

SECOND_CURRICULUM = "c0ffee00-0000-4000-8000-000000000002"
OTHER_PROGRAM = "8a6e1d5c-0b7f-4a39-b3a4-2f9d6c1e5b20"


def linked_keys(lms: Lms) -> list[str]:
    """The keys that are linked, as the program spells them."""
    return sorted(
        key
        for key, user_id in lms.rows("program_enrollments_programenrollment", "external_user_key, user_id")
        if user_id is not None
    )


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("student-001", "STUDENT-001"),
        ("STUDENT-001", "student-001"),
        ("Student-001", "sTUDENT-001"),
        ("ÄRGER-Ж", "ärger-ж"),
        ("student-001", "student-001"),
        ("100%_Key\\", "100%_kEY\\"),
    ],
)
def test_match(lms: Lms, invoke: Invoke, stored: str, sent: str) -> None:
    """A key is found whatever its case; the program's own spelling stays."""
    lms.user("alice")
    lms.enrollment(stored)
    answer = invoke({sent: "alice"}, ignore_case=True)
    assert (answer["linked"], answer["errors"]) == (1, {})
    assert linked_keys(lms) == [stored]


@pytest.mark.parametrize("options", [{}, {"ignore_case": False}])
def test_not_asked_for(lms: Lms, invoke: Invoke, options: dict[str, object]) -> None:
    """Without the option, a key that differs in case is another key."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert invoke({"STUDENT-001": "alice"}, **options)["error_codes"] == {"STUDENT-001": "not-in-program"}


def test_usernames_keep_their_case(lms: Lms, invoke: Invoke) -> None:
    """The option is about external keys: a username that differs in case is another account."""
    lms.user("alice")
    lms.enrollment("student-001")
    assert invoke({"STUDENT-001": "Alice"}, ignore_case=True)["error_codes"] == {"STUDENT-001": "user-not-found"}


@pytest.mark.parametrize("exact", ["student-001", "Student-001", "STUDENT-001"])
def test_exact_match_wins(lms: Lms, invoke: Invoke, exact: str) -> None:
    """Of several keys that differ only in case, the one that is sent exactly is meant."""
    lms.user("alice")
    for key in ("STUDENT-001", "student-001", "Student-001"):
        lms.enrollment(key)
    assert invoke({exact: "alice"}, ignore_case=True)["linked"] == 1
    assert linked_keys(lms) == [exact]


def test_ambiguous(lms: Lms, invoke: Invoke) -> None:
    """A key that matches several, and none exactly, fails with a message that names them."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.enrollment("STUDENT-001")
    before = snapshot(lms)
    assert invoke({"Student-001": "alice"}, ignore_case=True) == {
        "program_uuid": PROGRAM,
        "linked": 0,
        "errors": {
            "Student-001": "External student key=Student-001 matches several keys that differ only in case:"
            " STUDENT-001, student-001; send the one that is meant, exactly"
        },
        "error_codes": {"Student-001": "ambiguous-key"},
    }
    assert snapshot(lms) == before


def test_ambiguous_among_others(lms: Lms, invoke: Invoke) -> None:
    """An ambiguous key fails, and no other key."""
    lms.user("alice")
    lms.user("bob")
    for key in ("student-001", "STUDENT-001", "student-002"):
        lms.enrollment(key)
    answer = invoke({"Student-001": "alice", "Student-002": "bob", "Student-003": "bob"}, ignore_case=True)
    assert (answer["linked"], answer["error_codes"]) == (
        1,
        {"Student-001": "ambiguous-key", "Student-003": "not-in-program"},
    )
    assert linked_keys(lms) == ["student-002"]


def test_ambiguous_after_unknown_user(lms: Lms, invoke: Invoke) -> None:
    """An account that is not there is reported first."""
    lms.enrollment("student-001")
    lms.enrollment("STUDENT-001")
    assert invoke({"Student-001": "nobody"}, ignore_case=True)["error_codes"] == {"Student-001": "user-not-found"}


@pytest.mark.parametrize(
    "keys",
    [("student-001", "STUDENT-001"), ("Ärger", "ärger"), ("x", "y", "Z", "z")],
)
def test_keys_of_one_request(invoke: Invoke, post: Post, keys: tuple[str, ...]) -> None:
    """Two keys of one request that differ only in case are refused, with a message that names both."""
    body = {"program_uuid": PROGRAM, "external_keys_to_usernames": dict.fromkeys(keys, "alice"), "ignore_case": True}
    status, answer = post(body)
    assert status == 400
    assert answer["details"] == [{"where": "body", "what": f"{keys[-2]} and {keys[-1]} differ only in case"}]
    assert post({**body, "ignore_case": False})[0] == 422


def test_spelling_in_messages(lms: Lms, invoke: Invoke) -> None:
    """The map has each key as it was sent; a message about an enrollment names the key as the program spells it."""
    lms.user("alice")
    lms.enrollment("student-001", user_id=lms.user("bob"))
    lms.enrollment("student-003", user_id=lms.user("carol"))
    sent = {"STUDENT-001": "alice", "STUDENT-002": "alice", "Student-003": "carol"}
    assert invoke(sent, ignore_case=True)["errors"] == {
        "STUDENT-001": "Program enrollment with external_student_key=student-001 is already linked to a different"
        " account username=bob",
        "Student-003": "Program enrollment with external_student_key=student-003 is already linked to target account"
        " username=carol",
        "STUDENT-002": "No program enrollment found for program uuid=5f0c2e7e-8d3c-4f2b-9a51-6a1f1c0f7a10"
        " and external student key=STUDENT-002",
    }


def test_other_programs_do_not_count(lms: Lms, invoke: Invoke) -> None:
    """Only the program's own keys can be ambiguous."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.enrollment("STUDENT-001", program=OTHER_PROGRAM)
    assert invoke({"Student-001": "alice"}, ignore_case=True)["linked"] == 1


@pytest.mark.parametrize("sent", ["Student-001", "STUDENT-001", "student-001"])
def test_other_curricula_do_not_count(lms: Lms, invoke: Invoke, sent: str) -> None:
    """With a curriculum asked for, a key of another curriculum is neither an exact match nor ambiguous."""
    lms.user("alice")
    lms.enrollment("student-001", curriculum=SECOND_CURRICULUM)
    lms.enrollment("STUDENT-001")
    answer = invoke({sent: "alice"}, ignore_case=True, curriculum_uuid=SECOND_CURRICULUM)
    assert (answer["linked"], answer["errors"]) == (1, {})
    assert linked_keys(lms) == ["student-001"]


def test_one_key_in_two_curricula(lms: Lms, invoke: Invoke) -> None:
    """A key that two curricula spell alike is one key, and both enrollments are linked."""
    lms.user("alice")
    lms.enrollment("student-001")
    lms.enrollment("student-001", curriculum=SECOND_CURRICULUM)
    assert invoke({"Student-001": "alice"}, ignore_case=True)["linked"] == 1
    assert linked_keys(lms) == ["student-001", "student-001"]


def test_with_relink(lms: Lms, invoke: Invoke) -> None:
    """The options go together."""
    lms.user("alice")
    lms.enrollment("student-001", user_id=lms.user("bob"))
    assert invoke({"STUDENT-001": "alice"}, ignore_case=True, relink=True)["linked"] == 1
